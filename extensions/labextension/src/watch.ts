// Watch: which masters and simulations the notebook or console in front has, kept up to date while the page is visible.
//
// Rule: one question at a time to the server, once a second, none while the page is hidden, fewer while it does not answer.

import { JupyterFrontEnd } from '@jupyterlab/application';
import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ServiceManager } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { IPanelServer, ISession, list, Trouble } from './listing';

const EVERY_MS = 1000;
const MOST_MS = 5000;

/** A session, the panel server that shows it, and what that can show of it. */
export interface IPlace extends ISession {
  server: string;
  panels: string[];
}

/** What can be in front and has a kernel: a notebook, a console. */
export interface IFront extends Widget {
  sessionContext: ISessionContext;
}

interface IKernel extends IPanelServer {
  sessions: ISession[];
  panels: string[];
  silent: boolean;
}

export class Watch {
  constructor(
    private services: ServiceManager.IManager,
    private notebooks: INotebookTracker | null,
    shell: JupyterFrontEnd.IShell
  ) {
    notebooks?.currentChanged.connect((_, notebook) => this.follow(notebook));
    shell.currentChanged?.connect((_, { newValue }) => this.follow(newValue));
    services.sessions.runningChanged.connect(() => this.said.emit());
    this.poll = new Poll({
      name: 'mesonb:sessions',
      factory: () => this.ask(),
      frequency: { interval: EVERY_MS, backoff: true, max: MOST_MS },
      standby: 'when-hidden'
    });
  }

  /** Said after every answer, when another notebook or console comes to the front, and when a kernel comes or goes. */
  get changed(): ISignal<this, void> {
    return this.said;
  }

  /** The notebook or console that was last in front. */
  get front(): IFront | null {
    return this.followed && !this.followed.isDisposed ? this.followed : (this.notebooks?.currentWidget ?? null);
  }

  /** The path by which the Jupyter server knows its kernel's session. */
  get path(): string | undefined {
    return this.front?.sessionContext.path;
  }

  /** The sessions of a notebook's or console's kernel, the newest last. */
  sessions(path: string | undefined = this.path): IPlace[] {
    return this.serversOf(path).flatMap(({ server, panels, sessions }) =>
      sessions.map(session => ({ ...session, server, panels: ['board', ...panels] }))
    );
  }

  /** Why `sessions` of this path is empty or may be out of date; '' where its kernel was heard. */
  reason(path: string | undefined = this.path): string {
    if (!path) {
      return 'Open a notebook or a console: its masters and simulations are listed here.';
    }
    if (!this.kernelOf(path)) {
      return 'There is no kernel here yet. Run a cell, or choose one with Kernel > Change Kernel.';
    }
    if (this.trouble || !this.answered) {
      return this.trouble || 'Asking the Jupyter server ...';
    }
    return this.serversOf(path).some(({ silent }) => silent) ? 'The kernel does not answer: a call in it holds the interpreter. It is back when that call ends.' : '';
  }

  /** Have all who listen look again: something else is shown now. */
  announce(): void {
    this.said.emit();
  }

  /** Ask again now. */
  refresh(): void {
    void this.poll.refresh();
  }

  dispose(): void {
    this.poll.dispose();
    Signal.clearData(this);
  }

  private follow(widget: Widget | null): void {
    if (hasKernel(widget)) {
      this.followed = widget;
    }
    this.said.emit();
  }

  private async ask(): Promise<void> {
    try {
      this.servers = (await list(this.services.serverSettings)).map(server => this.remembering(server));
      this.answered = true;
      this.trouble = '';
    } catch (error) {
      this.trouble = error instanceof Trouble ? error.message : `mesonb's list could not be read: ${error}`;
      throw error;
    } finally {
      this.said.emit();
    }
  }

  /** What a kernel had, while it does not answer. */
  private remembering({ server, kernel_id, sessions, panels }: IPanelServer): IKernel {
    const before = this.servers.find(known => known.server === server) ?? { sessions: [], panels: [] };
    const silent = sessions === null;
    return { server, kernel_id, sessions: sessions ?? before.sessions, panels: panels ?? before.panels, silent };
  }

  private serversOf(path: string | undefined): IKernel[] {
    const kernel = path && this.kernelOf(path);
    return kernel ? this.servers.filter(server => server.kernel_id === kernel) : [];
  }

  /** A path's kernel; after a reload the server knows it before the notebook itself is connected. */
  private kernelOf(path: string): string | undefined {
    const open = this.path === path ? this.front : this.notebooks?.find(({ sessionContext }) => sessionContext.path === path);
    const running = () => [...this.services.sessions.running()].find(session => session.path === path);
    return (open?.sessionContext.session ?? running())?.kernel?.id;
  }

  private followed: IFront | null = null;
  private said = new Signal<this, void>(this);
  private servers: IKernel[] = [];
  private trouble = '';
  private answered = false;
  private poll: Poll;
}

function hasKernel(widget: Widget | null): widget is IFront {
  return Boolean((widget as Partial<IFront> | null)?.sessionContext);
}
