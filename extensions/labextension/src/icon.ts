// The icon: one agent's resources in three shares.

import { LabIcon } from '@jupyterlab/ui-components';

const DRAWING = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161"><rect x="3" y="3" width="11" height="7.5" rx="1.5"/><rect x="15.5" y="3" width="5.5" height="11.5" rx="1.5"/>
  <rect x="3" y="12" width="11" height="2.5" rx="1.25"/><path d="M4.5 16.5h15a1.5 1.5 0 0 1 1.5 1.5v1.5a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 19.5V18a1.5 1.5 0 0 1 1.5-1.5z" opacity=".45"/></g></svg>`;

export const icon = new LabIcon({ name: 'mesonb:icon', svgstr: DRAWING });
