import { type ComponentType, lazy, type LazyExoticComponent } from 'react';

import { IconBroadcast, IconClock, IconDatabase, IconHome, IconSettings, IconTerminal2 } from './components/icons';

type View = LazyExoticComponent<ComponentType>;

export interface Room {
  name: string;
  path: string;
  /** The second key of the shortcut `g …`. */
  key: string;
  icon: ComponentType<{ size?: number | string; stroke?: number | string }>;
  routes: { path: string; view: View }[];
}

const Load = lazy(() => import('./views/load/Load'));

/** Every room of the console, in the order of the rail. A room is added here and nowhere else. */
export const ROOMS: Room[] = [
  { name: 'Home', path: '/', key: 'h', icon: IconHome, routes: [{ path: '/', view: lazy(() => import('./views/home/Home')) }] },
  {
    name: 'Data',
    path: '/data',
    key: 'd',
    icon: IconDatabase,
    routes: [
      { path: '/data', view: lazy(() => import('./views/data/Data')) },
      { path: '/data/:schema/:table', view: lazy(() => import('./views/data/Table')) },
      { path: '/load', view: Load },
      { path: '/load/:upload', view: Load },
      { path: '/loads/:load', view: lazy(() => import('./views/load/Run')) },
    ],
  },
  { name: 'Query', path: '/query', key: 'q', icon: IconTerminal2, routes: [{ path: '/query', view: lazy(() => import('./views/query/Query')) }] },
  {
    name: 'Streams',
    path: '/streams',
    key: 't',
    icon: IconBroadcast,
    routes: [
      { path: '/streams', view: lazy(() => import('./views/streams/Streams')) },
      { path: '/streams/groups/:group', view: lazy(() => import('./views/streams/Group')) },
      { path: '/streams/deliveries/:delivery', view: lazy(() => import('./views/streams/Delivery')) },
      { path: '/streams/:topic', view: lazy(() => import('./views/streams/Topic')) },
    ],
  },
  {
    name: 'Jobs',
    path: '/jobs',
    key: 'j',
    icon: IconClock,
    routes: [
      { path: '/jobs', view: lazy(() => import('./views/jobs/Jobs')) },
      { path: '/jobs/:job', view: lazy(() => import('./views/jobs/Job')) },
      { path: '/jobs/:job/runs/:run', view: lazy(() => import('./views/jobs/Run')) },
    ],
  },
  {
    name: 'Settings',
    path: '/settings',
    key: 's',
    icon: IconSettings,
    routes: [
      { path: '/settings', view: lazy(() => import('./views/settings/Settings')) },
      { path: '/settings/:section', view: lazy(() => import('./views/settings/Settings')) },
    ],
  },
];

/** The room that an address belongs to. Loading a file is part of Data. */
export function roomOf(path: string): Room | undefined {
  const at = path.startsWith('/load') ? '/data' : path;
  return ROOMS.find((room) => (room.path === '/' ? at === '/' : at === room.path || at.startsWith(`${room.path}/`)));
}
