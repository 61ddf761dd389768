// The status bar's item: the agents and tasks of the sidebar's session; a click opens the sidebar.

import { Widget } from '@lumino/widgets';

import { make } from './dom';
import { counts, NOTHING_YET, Sidebar } from './sidebar';
import { Watch } from './watch';

export class Status extends Widget {
  constructor(
    private watch: Watch,
    private sidebar: Sidebar,
    open: () => void
  ) {
    super();
    this.addClass('mesonb-status');
    this.item = make('button', { type: 'button' });
    this.item.addEventListener('click', open);
    this.node.append(this.item);
    watch.changed.connect(this.refresh, this);
    this.refresh();
  }

  private refresh(): void {
    const place = this.sidebar.chosen;
    const text = place ? `${place.id}: ${counts(place)}` : 'mesonb';
    const title = this.watch.reason() || (place ? 'Show masters and simulations' : NOTHING_YET);
    this.item.textContent = text;
    this.item.title = title;
    this.item.setAttribute('aria-label', `${text}. ${title}`);
  }

  private item: HTMLButtonElement;
}
