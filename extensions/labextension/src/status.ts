// The status bar's item: the agents, the tasks and my share of the sidebar's session; a click opens the sidebar.

import { Widget } from '@lumino/widgets';

import { make } from './dom';
import { ISession } from './listing';
import { counts, NOTHING_YET, Sidebar } from './sidebar';
import { Watch } from './watch';

const OPENS = 'Show masters and simulations';
/** Names of frameworks that a tooltip has room for. */
const NAMED = 5;

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
    const text = place ? `${place.id}: ${[counts(place), share(place)].filter(Boolean).join(', ')}` : 'mesonb';
    const title = this.watch.reason() || (place ? [meaning(place), OPENS].filter(Boolean).join(' ') : NOTHING_YET);
    this.item.textContent = text;
    this.item.title = title;
    this.item.setAttribute('aria-label', `${text}. ${title}`);
  }

  private item: HTMLButtonElement;
}

/** What the tasks of this kernel's frameworks hold; of a kernel that has none, as when it opened a recording, what all hold. */
function share({ share, mine, closed }: ISession): string {
  if (share === undefined || closed) {
    return '';
  }
  return `${mine?.length ? 'my share ' : ''}${percent(share)}${mine?.length ? '' : ' allocated'}`;
}

function meaning({ share, mine, of, closed }: ISession): string {
  if (share === undefined || closed) {
    return '';
  }
  const whose = mine?.length ? `My share: what the tasks of this kernel's frameworks (${names(mine)})` : 'Allocated: what the tasks of all frameworks';
  return `${whose} hold together: ${percent(share)}${of ? ` of ${of}, and no more of anything else` : ''}.`;
}

function percent(part: number): string {
  return `${Math.round(100 * part)} %`;
}

function names(all: string[]): string {
  return all.length > NAMED ? `${all.slice(0, NAMED).join(', ')} and ${all.length - NAMED} more` : all.join(', ');
}
