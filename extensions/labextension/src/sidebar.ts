// The sidebar: the masters and simulations of the notebook or console in front, and the board of the chosen one.

import { ServerConnection } from '@jupyterlab/services';
import { PanelLayout, Widget } from '@lumino/widgets';

import { button, make, many } from './dom';
import { icon } from './icon';
import { titleOf, View } from './views';
import { IPlace, Watch } from './watch';

export const NOTHING_YET = 'There is no master and no simulation in this kernel yet.';
/** What a newcomer is offered to put in a cell. */
export const FIRST_CELL = 'import mesonb as mb\n\nmaster = mb.Master()\nmaster';

/** What the sidebar asks others to do. */
export interface ISidebarActions {
  open(panel: string, place: IPlace): void;
  insert(code: string): void;
}

export class Sidebar extends Widget {
  constructor(
    private watch: Watch,
    private actions: ISidebarActions,
    settings: ServerConnection.ISettings
  ) {
    super();
    this.id = 'mesonb-sidebar';
    this.addClass('mesonb-sidebar');
    this.title.icon = icon;
    this.title.caption = 'Masters and simulations (mesonb)';
    this.head = new Widget();
    this.board = new View(settings, 'board');
    const layout = (this.layout = new PanelLayout());
    layout.addWidget(this.head);
    layout.addWidget(this.board);
    watch.changed.connect(this.refresh, this);
    this.refresh();
  }

  /** The session whose board is shown: the one chosen, else the first open master, else the newest. */
  get chosen(): IPlace | null {
    const places = this.watch.sessions();
    const wanted = this.choices.get(this.watch.path ?? '');
    return places.find(({ id }) => id === wanted) ?? places.find(({ kind, closed }) => kind === 'master' && !closed) ?? places.at(-1) ?? null;
  }

  protected override onAfterShow(): void {
    this.watch.refresh();
  }

  /** Counts change all the time and are written in place; a button is made anew only with the list, so no click is lost. */
  private refresh(): void {
    const places = this.watch.sessions();
    const shown = places.map(({ id, server, panels }) => [id, server, panels]);
    const drawn = JSON.stringify([this.watch.front?.title.label, this.watch.reason(), shown, this.chosen?.id]);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.draw();
    }
    places.forEach((place, i) => (this.counted[i].textContent = counts(place)));
  }

  private draw(): void {
    const focused = this.head.node.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.mesonb : undefined;
    this.counted = [];
    this.head.node.replaceChildren(this.caption(), ...this.why(), this.list());
    this.head.node.querySelector<HTMLElement>(`[data-mesonb="${focused}"]`)?.focus();
    this.board.present(this.chosen);
  }

  private caption(): HTMLElement {
    const name = this.watch.front?.title.label;
    return make('h2', { className: 'mesonb-caption', title: name ? `follows ${name}` : '' }, name ?? 'mesonb');
  }

  private why(): HTMLElement[] {
    const reason = this.watch.reason();
    if (reason) {
      return [said(reason)];
    }
    if (this.chosen) {
      return [];
    }
    const insert = button('Put it in a cell', 'Put this in a new cell', () => this.actions.insert(FIRST_CELL));
    return [said(`${NOTHING_YET} Make one in a cell:`), make('pre', { className: 'mesonb-code' }, FIRST_CELL), insert];
  }

  private list(): HTMLElement {
    const items = this.watch.sessions().map(place => this.item(place));
    return make('ul', { className: 'mesonb-list', ariaLabel: 'Masters and simulations listed' }, ...items);
  }

  private item(place: IPlace): HTMLElement {
    const chosen = place.id === this.chosen?.id;
    const name = button(place.id, `Show the board of ${place.id} below`, () => this.choose(place));
    name.classList.add('mesonb-name');
    name.setAttribute('aria-pressed', String(chosen));
    name.dataset.mesonb = place.id;
    const counted = make('span', { className: 'mesonb-counts' });
    this.counted.push(counted);
    const row = make('li', {}, name, counted);
    if (chosen) {
      row.classList.add('mesonb-mod-chosen');
      row.append(make('span', { className: 'mesonb-open' }, 'open', ...place.panels.map(panel => this.opens(panel, place))));
    }
    return row;
  }

  private opens(panel: string, place: IPlace): HTMLElement {
    const opens = button(titleOf(panel), `Open ${panel} of ${place.id} as a tab`, () => this.actions.open(panel, place));
    opens.dataset.mesonb = `${panel} ${place.id}`;
    return opens;
  }

  private choose(place: IPlace): void {
    this.choices.set(this.watch.path ?? '', place.id);
    this.watch.announce();
  }

  private head: Widget;
  private board: View;
  private choices = new Map<string, string>();
  private counted: HTMLElement[] = [];
  private drawn = '';
}

function said(text: string): HTMLElement {
  return make('p', { className: 'mesonb-reason', role: 'status' }, text);
}

/** What is counted of a session; '' where the kernel's mesonb is too old to say. */
export function counts({ agents, tasks, closed }: IPlace): string {
  if (closed) {
    return 'closed';
  }
  return agents === undefined || tasks === undefined ? '' : `${many(agents, 'agent')}, ${many(tasks, 'task')}`;
}
