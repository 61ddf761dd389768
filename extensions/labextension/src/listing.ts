// What the Jupyter server lists: the panel servers of its own kernels, each with its masters and simulations.
//
// Rule: whatever goes wrong here becomes a sentence for whoever looks at the sidebar, with what to do about it.

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

/** A master or a simulation. */
export interface ISession {
  id: string;
  kind: string;
  agents?: number;
  tasks?: number;
  closed?: boolean;
  mine?: string[]; // frameworks that were registered in its kernel
  share?: number; // of the cluster, what the tasks of these hold together, or of all where there are none
  of?: string; // the resource of which that is so much
}

/** The panel server of one kernel, and the charts it has; `sessions` is null while it does not answer. */
export interface IPanelServer {
  server: string;
  kernel_id: string;
  sessions: ISession[] | null;
  panels?: string[];
}

/** A sentence that says why nothing is shown, and what helps. */
export class Trouble extends Error {}

/** Ask the Jupyter server for its list. */
export async function list(settings: ServerConnection.ISettings): Promise<IPanelServer[]> {
  const url = URLExt.join(settings.baseUrl, 'mesonb');
  const response = await ServerConnection.makeRequest(url, { cache: 'no-store' }, settings).catch(() => {
    throw new Trouble('The Jupyter server does not answer. This list comes back by itself when it does.');
  });
  if (!response.ok) {
    throw new Trouble(because(response.status));
  }
  return (await response.json()).servers;
}

function because(status: number): string {
  switch (status) {
    case 404:
      return (
        "This Jupyter server runs without mesonb's extension. Install mesonb where Jupyter itself is installed, start Jupyter again, " +
        'and look at: jupyter server extension list'
      );
    case 401:
    case 403:
      return 'The Jupyter server does not know you any more. Reload the page and sign in.';
    default:
      return `The Jupyter server answered ${status}; its log says why.`;
  }
}
