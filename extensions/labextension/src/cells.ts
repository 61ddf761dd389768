// Cells: code that a panel offers (a remedy, a link to a moment) goes into a new cell below the active one.
//
// Panels ask by a message to this window: {mesonb: 'fill', id, code}. Rule: only what comes from this page's own origin is
// heard, the code is put into a cell and never run, and whoever asked is told.

import { JupyterFrontEnd } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';

/** The longest code that is put into a cell. */
const LONGEST = 10_000;

interface IFill {
  mesonb: 'fill';
  id: string;
  code: string;
}

/** Put code into a new cell below the active one; false where there is no notebook. */
export async function putIntoCell(app: JupyterFrontEnd, notebooks: INotebookTracker | null, code: string): Promise<boolean> {
  const panel = notebooks?.currentWidget;
  if (!panel) {
    return false;
  }
  app.shell.activateById(panel.id);
  await app.commands.execute('notebook:insert-cell-below');
  notebooks!.activeCell?.model.sharedModel.setSource(code);
  return true;
}

/** Do what panels ask, from now on. */
export function listen(app: JupyterFrontEnd, notebooks: INotebookTracker | null): void {
  window.addEventListener('message', async ({ origin, source, data }: MessageEvent) => {
    if (origin !== location.origin || !isFill(data)) {
      return;
    }
    if (await putIntoCell(app, notebooks, data.code)) {
      (source as Window | null)?.postMessage({ mesonb: 'filled', id: data.id }, origin);
    }
  });
}

function isFill(data: Partial<IFill> | null): data is IFill {
  return data?.mesonb === 'fill' && typeof data.id === 'string' && typeof data.code === 'string' && data.code.length <= LONGEST;
}
