// Cells: code that a panel offers (a remedy, a link to a moment) goes into a new cell below the active one, or to a console's prompt.
//
// Panels ask by a message to this window: {mesonb: 'fill', id, code}. Rule: only what comes from this page's own origin is
// heard, the code is put into a cell and never run, and whoever asked is told.

import { JupyterFrontEnd } from '@jupyterlab/application';
import { NotebookPanel } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';

import { Watch } from './watch';

/** The longest code that is put into a cell. */
const LONGEST = 10_000;

interface IFill {
  mesonb: 'fill';
  id: string;
  code: string;
}

/** What can hold code that has not run yet: a cell, a console's prompt. */
interface ICell {
  model: { sharedModel: { getSource(): string; setSource(source: string): void } };
}

/** Put code into a new cell of what is in front, or its prompt; false where there is neither. */
export async function putIntoCell(app: JupyterFrontEnd, watch: Watch, code: string): Promise<boolean> {
  const { front } = watch;
  if (!front) {
    return false;
  }
  app.shell.activateById(front.id);
  const cell = front instanceof NotebookPanel ? await newCell(app, front) : promptOf(front);
  const before = cell?.model.sharedModel.getSource().trimEnd();
  cell?.model.sharedModel.setSource(before ? `${before}\n${code}` : code);
  return Boolean(cell);
}

async function newCell(app: JupyterFrontEnd, notebook: NotebookPanel): Promise<ICell | null> {
  await app.commands.execute('notebook:insert-cell-below');
  return notebook.content.activeCell;
}

/** A console's prompt, by what consoles have: their package is not needed for it. */
function promptOf(front: Widget): ICell | null {
  return (front as { console?: { promptCell?: ICell } } & Widget).console?.promptCell ?? null;
}

/** Do what panels ask, from now on. */
export function listen(app: JupyterFrontEnd, watch: Watch): void {
  window.addEventListener('message', async ({ origin, source, data }: MessageEvent) => {
    if (origin !== location.origin || !isFill(data)) {
      return;
    }
    if (await putIntoCell(app, watch, data.code)) {
      (source as Window | null)?.postMessage({ mesonb: 'filled', id: data.id }, origin);
    }
  });
}

function isFill(data: Partial<IFill> | null): data is IFill {
  return data?.mesonb === 'fill' && typeof data.id === 'string' && typeof data.code === 'string' && data.code.length <= LONGEST;
}
