// The commands: show the sidebar, open a panel as a tab, lay the panels out beside the notebook.

import { JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager, WidgetTracker } from '@jupyterlab/apputils';
import { DocumentRegistry } from '@jupyterlab/docregistry';
import { ServerConnection } from '@jupyterlab/services';

import { icon } from './icon';
import { Sidebar } from './sidebar';
import { isTabArgs, ITabArgs, makeTab, nameOf, Tab, TabContent, unfold } from './tabs';
import { titleOf } from './views';
import { Watch } from './watch';

export const SHOW = 'mesonb:show';
export const OPEN = 'mesonb:open';
export const ARRANGE = 'mesonb:arrange';
const CATEGORY = 'mesonb';

/** What the commands work with; `wide` where the main area takes more than the notebook, as JupyterLab's does. */
export interface IParts {
  app: JupyterFrontEnd;
  watch: Watch;
  tabs: WidgetTracker<Tab>;
  sidebar: Sidebar;
  settings: ServerConnection.ISettings;
  palette: ICommandPalette | null;
  themes: IThemeManager | null;
  wide: boolean;
}

export function addCommands(parts: IParts): void {
  const { app, palette, sidebar } = parts;
  const ready = () => sidebar.chosen !== null;
  app.commands.addCommand(SHOW, {
    label: 'Show Masters and Simulations',
    icon,
    execute: () => app.shell.activateById(sidebar.id)
  });
  app.commands.addCommand(OPEN, {
    label: args => `Open ${titleOf(String(args.panel ?? 'panel'))}`,
    caption: 'Open a panel of the session that the sidebar shows, as a tab',
    icon,
    isEnabled: args => isTabArgs(args as Partial<ITabArgs>) || ready(),
    execute: args => {
      const wanted = { ...here(parts), ...args } as Partial<ITabArgs>;
      if (isTabArgs(wanted)) {
        open(parts, wanted);
      }
    }
  });
  app.commands.addCommand(ARRANGE, {
    label: 'Arrange Panels beside the Notebook',
    caption: 'The board to the right of the notebook, shares over time below it',
    icon,
    isEnabled: ready,
    execute: () => arrange(parts)
  });
  palette?.addItem({ command: SHOW, category: CATEGORY });
  palette?.addItem({ command: ARRANGE, category: CATEGORY });
  parts.watch.changed.connect(() => [OPEN, ARRANGE].forEach(command => app.commands.notifyCommandChanged(command)));
  offerPanels(parts);
}

/** Put each panel into the palette, once it is known that a kernel has it. */
function offerPanels({ palette, sidebar, watch }: IParts): void {
  const offered = new Set<string>();
  watch.changed.connect(() => {
    for (const panel of sidebar.chosen?.panels ?? []) {
      if (!offered.has(panel)) {
        offered.add(panel);
        palette?.addItem({ command: OPEN, category: CATEGORY, args: { panel } });
      }
    }
  });
}

/** The notebook or console in front, and the sidebar's session. */
function here({ watch, sidebar }: IParts): Partial<ITabArgs> {
  return { notebook: watch.path, session: sidebar.chosen?.id };
}

function open(parts: IParts, args: ITabArgs, where: DocumentRegistry.IOpenOptions = {}): Tab {
  const { app, tabs, wide } = parts;
  const known = tabs.find(tab => nameOf(tab.content.args) === nameOf(args));
  const tab = known ?? create(parts, args);
  if (!tab.isAttached) {
    app.shell.add(tab, wide ? 'main' : 'down', { mode: 'tab-after', ...where });
  }
  app.shell.activateById(tab.id);
  if (!wide) {
    requestAnimationFrame(() => unfold(tab));
  }
  return tab;
}

function create({ watch, settings, themes, tabs }: IParts, { notebook, session, panel }: ITabArgs): Tab {
  const dark = () => themes?.theme != null && !themes.isLight(themes.theme);
  const tab = makeTab(new TabContent({ notebook, session, panel }, watch, settings, dark));
  void tabs.add(tab);
  return tab;
}

/** The board to the right of the notebook, shares below the board, and the notebook in front again. */
function arrange(parts: IParts): void {
  const { front } = parts.watch;
  const args = here(parts);
  if (front && args.session) {
    const board = open(parts, { ...args, panel: 'board' } as ITabArgs, { mode: 'split-right', ref: front.id });
    open(parts, { ...args, panel: 'shares' } as ITabArgs, { mode: 'split-bottom', ref: board.id });
    parts.app.shell.activateById(front.id);
  }
}
