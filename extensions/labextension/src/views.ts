// The views of a session: its live board, drawn by the module that draws it in cells, and the charts that its kernel serves.
//
// The board's module comes from the Jupyter server (mesonb/panels/static/board.js), so there is one source of it and it is
// always of the version that the server runs. Rule: a view that cannot be seen holds no connection.

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';

import { make } from './dom';
import { IPlace } from './watch';

interface IBoardModule {
  mount(element: HTMLElement, what: { title: string; path: string }): () => void;
}

/** A panel's name as people read it: "Timeline". */
export function titleOf(panel: string): string {
  return panel.charAt(0).toUpperCase() + panel.slice(1);
}

let boards: Promise<IBoardModule> | null = null;

/** Load the board's module, once a page; a failure is not remembered. */
function boardModule(settings: ServerConnection.ISettings): Promise<IBoardModule> {
  const url = URLExt.join(settings.baseUrl, 'mesonb', 'static', 'board.js');
  boards ??= import(/* webpackIgnore: true */ url).catch(error => {
    boards = null;
    throw error;
  });
  return boards!;
}

/** Shows one panel of one session, or nothing. */
export class View extends Widget {
  constructor(
    private settings: ServerConnection.ISettings,
    private panel: string,
    private dark: () => boolean = () => false
  ) {
    super();
    this.addClass('mesonb-view');
    if (panel === 'board') {
      boardModule(settings).catch(() => undefined); // loaded ahead; where it fails, drawing says so
    }
  }

  /** Show a session from now on; null shows nothing. */
  present(place: IPlace | null): void {
    if (key(place) !== key(this.place)) {
      this.place = place;
      this.redraw();
    }
  }

  /** Draw again from nothing, as when the theme has changed. */
  redraw(): void {
    this.clear();
    this.draw();
  }

  protected override onAfterAttach(): void {
    this.redraw();
  }

  protected override onAfterShow(): void {
    this.redraw();
  }

  protected override onBeforeDetach(): void {
    this.clear();
  }

  protected override onAfterHide(): void {
    this.clear();
  }

  private draw(): void {
    if (this.place && this.isVisible) {
      this.panel === 'board' ? void this.drawBoard(this.place) : this.node.append(this.frame(this.place));
    }
  }

  private clear(): void {
    this.drawing += 1;
    this.unmount?.();
    this.unmount = null;
    this.node.replaceChildren();
  }

  private async drawBoard({ id, server }: IPlace): Promise<void> {
    const drawing = this.drawing;
    try {
      const { mount } = await boardModule(this.settings);
      if (drawing === this.drawing) {
        this.unmount = mount(this.node, { title: id, path: `mesonb/${server}/session/${id}/ws` });
      }
    } catch (error) {
      this.node.append(make('p', { className: 'mesonb-reason' }, `The board could not be loaded: ${error}`));
    }
  }

  private frame({ id, server }: IPlace): HTMLIFrameElement {
    const query = URLExt.objectToQueryString({ session: id, theme: this.dark() ? 'dark' : 'light', fill: 1 });
    const src = URLExt.join(this.settings.baseUrl, 'mesonb', server, this.panel) + query;
    return make('iframe', { src, title: `${titleOf(this.panel)} of ${id}`, className: 'mesonb-frame' });
  }

  private place: IPlace | null = null;
  private unmount: (() => void) | null = null;
  private drawing = 0;
}

function key(place: IPlace | null): string {
  return place ? `${place.server}/${place.id}` : '';
}
