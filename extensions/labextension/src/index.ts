// The extension: puts the sidebar, the status bar's item, the tabs and the commands into JupyterLab or Jupyter Notebook.
//
// There is no scheduling here: what is shown comes from the kernel's panel server, relayed by the Jupyter server's extension.
// Read listing.ts, watch.ts, views.ts, sidebar.ts, tabs.ts, commands.ts, cells.ts, in this order.

import { ILabShell, ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager, WidgetTracker } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';

import { listen, putIntoCell } from './cells';
import { addCommands, OPEN, SHOW } from './commands';
import { Sidebar } from './sidebar';
import { Status } from './status';
import { nameOf, Tab } from './tabs';
import { Watch } from './watch';

const plugin: JupyterFrontEndPlugin<void> = {
  id: 'mesonb:plugin',
  description: 'Masters and simulations of the notebook or console in front: sidebar, tabs, status bar, commands.',
  autoStart: true,
  optional: [INotebookTracker, ICommandPalette, IStatusBar, ILayoutRestorer, ILabShell, IThemeManager],
  activate
};

function activate(
  app: JupyterFrontEnd,
  notebooks: INotebookTracker | null,
  palette: ICommandPalette | null,
  bar: IStatusBar | null,
  restorer: ILayoutRestorer | null,
  labShell: ILabShell | null,
  themes: IThemeManager | null
): void {
  const settings = app.serviceManager.serverSettings;
  const watch = new Watch(app.serviceManager, notebooks, app.shell);
  const tabs = new WidgetTracker<Tab>({ namespace: 'mesonb' });
  const sidebar = new Sidebar(
    watch,
    {
      open: (panel, { id }) => void app.commands.execute(OPEN, { panel, session: id }),
      insert: code => void putIntoCell(app, watch, code)
    },
    settings
  );
  listen(app, watch);
  app.shell.add(sidebar, 'right', { rank: 400 });
  addCommands({ app, watch, tabs, sidebar, settings, palette, wide: labShell !== null, themes });
  bar?.registerStatusItem('mesonb:status', {
    item: new Status(watch, sidebar, () => void app.commands.execute(SHOW)),
    align: 'left',
    rank: 20
  });
  themes?.themeChanged.connect(() => tabs.forEach(tab => tab.content.view.redraw()));
  restorer?.add(sidebar, sidebar.id);
  void restorer?.restore(tabs, { command: OPEN, args: tab => ({ ...tab.content.args }), name: tab => nameOf(tab.content.args) });
}

export default plugin;
