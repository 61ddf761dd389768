// Tabs: any panel of any session in the main area, dockable, and there again after a reload.
//
// A tab is known by its notebook, session and panel. After a restart of the kernel it finds the session of that name again,
// so a layout outlives its kernel.

import { MainAreaWidget } from '@jupyterlab/apputils';
import { ServerConnection } from '@jupyterlab/services';
import { PanelLayout, SplitPanel, Widget } from '@lumino/widgets';

import { make } from './dom';
import { icon } from './icon';
import { titleOf, View } from './views';
import { Watch } from './watch';

const LEAST_PX = 100;

/** Which tab. */
export interface ITabArgs {
  notebook: string;
  session: string;
  panel: string;
}

/** One name a tab. */
export function nameOf({ notebook, session, panel }: ITabArgs): string {
  return `${panel}:${session}:${notebook}`;
}

export function isTabArgs(args: Partial<ITabArgs>): args is ITabArgs {
  return typeof args.notebook === 'string' && typeof args.session === 'string' && /^[\w-]+$/.test(args.panel ?? '');
}

/** A tab's content: the panel, or the reason why it is not there. */
export class TabContent extends Widget {
  constructor(
    readonly args: ITabArgs,
    private watch: Watch,
    settings: ServerConnection.ISettings,
    dark: () => boolean
  ) {
    super();
    this.addClass('mesonb-tab');
    this.view = new View(settings, args.panel, dark);
    this.why = new Widget({ node: make('p', { className: 'mesonb-reason', role: 'status' }) });
    const layout = (this.layout = new PanelLayout());
    layout.addWidget(this.why);
    layout.addWidget(this.view);
    watch.changed.connect(this.refresh, this);
    this.refresh();
  }

  readonly view: View;

  private refresh(): void {
    const { notebook, session } = this.args;
    const place = this.watch.sessions(notebook).find(({ id }) => id === session);
    const gone = `${session} is not in the kernel of ${notebook}. Run its cell again, and this tab shows it.`;
    const reason = this.watch.reason(notebook);
    this.why.node.textContent = reason || (place ? '' : gone);
    this.why.setHidden(!this.why.node.textContent);
    if (place || !reason) {
      this.view.present(place ?? null); // while nobody answers, what was last shown stays, and says itself that it is stale
    }
  }

  private why: Widget;
}

export type Tab = MainAreaWidget<TabContent>;

export function makeTab(content: TabContent): Tab {
  const { panel, session, notebook } = content.args;
  const tab = new MainAreaWidget({ content });
  tab.id = `mesonb-${nameOf(content.args).replace(/[^\w-]/g, '-')}`;
  tab.title.label = `${panel} of ${session}`; // of many tabs, each cut short, the panel is what tells them apart
  tab.title.caption = `${titleOf(panel)} of ${session} in ${notebook}`;
  tab.title.icon = icon;
  tab.toolbar.hide();
  return tab;
}

/** Give a tab below a notebook, where Jupyter Notebook opens it as a mere line, a third of the height. */
export function unfold(tab: Widget): void {
  let around = tab.parent;
  while (around && !(around instanceof SplitPanel)) {
    around = around.parent;
  }
  if (tab.node.clientHeight < LEAST_PX) {
    around?.setRelativeSizes([2, 1]);
  }
}
