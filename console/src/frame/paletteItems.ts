import { useMantineColorScheme } from '@mantine/core';
import { type ComponentType, useMemo } from 'react';
import { useLocation } from 'wouter';

import { IconArrowRight, IconBookmark, IconBroadcast, IconDeviceDesktop, IconEye, IconFileUpload, IconKey, IconMoon, IconPlus, IconSun, IconTable, IconTerminal2, IconUser } from '../components/icons';
import { links } from '../lib/link';
import { useStore } from '../lib/store';
import { ROOMS } from '../rooms';
import { useSavedQueries, useTables } from '../services/hooks';
import { useDeliveries, useGroups, useTopics } from '../services/streams';
import { openSaved, openSql } from '../services/tabs';
import { pageActionStore } from './pageActions';
import { panels } from './panels';

export interface PaletteItem {
  id: string;
  name: string;
  group: string;
  icon: ComponentType<{ size?: number | string; stroke?: number | string }>;
  keys?: string;
  act: () => void;
}

/** Everything that the palette finds. */
export function usePaletteItems(): PaletteItem[] {
  const [, navigate] = useLocation();
  const { setColorScheme } = useMantineColorScheme();
  const { tables } = useTables();
  const saved = useSavedQueries().data;
  const topics = useTopics().data;
  const groups = useGroups().data;
  const deliveries = useDeliveries().data;
  const here = useStore(pageActionStore);
  return useMemo(() => {
    const pages = ROOMS.map((room): PaletteItem => ({ id: room.path, name: room.name, group: 'Page', icon: room.icon, keys: `g ${room.key}`, act: () => navigate(room.path) }));
    const actions: PaletteItem[] = [
      { id: 'load', name: 'Load a file', group: 'Action', icon: IconFileUpload, keys: 'g l', act: () => navigate('/load') },
      { id: 'new', name: 'New query', group: 'Action', icon: IconPlus, act: () => navigate(openSql('')) },
      { id: 'token', name: 'Create an API token', group: 'Action', icon: IconKey, act: () => navigate(links.settings('tokens')) },
      { id: 'light', name: 'Light appearance', group: 'Action', icon: IconSun, act: () => setColorScheme('light') },
      { id: 'dark', name: 'Dark appearance', group: 'Action', icon: IconMoon, act: () => setColorScheme('dark') },
      { id: 'auto', name: 'Appearance of the system', group: 'Action', icon: IconDeviceDesktop, act: () => setColorScheme('auto') },
      { id: 'keys', name: 'Keyboard shortcuts', group: 'Action', icon: IconTerminal2, keys: '?', act: () => panels.set('shortcuts') },
    ];
    const queries = (saved ?? []).map((query): PaletteItem => ({ id: `q${query.id}`, name: query.name, group: 'Saved query', icon: IconBookmark, act: () => navigate(openSaved(query)) }));
    const objects = tables.map((table): PaletteItem => ({
      id: `t${table.schema}.${table.name}`,
      name: table.schema === 'public' ? table.name : `${table.schema}.${table.name}`,
      group: table.kind === 'view' ? 'View' : 'Table',
      icon: table.kind === 'view' ? IconEye : IconTable,
      act: () => navigate(links.table(table.schema, table.name)),
    }));
    const streams = [
      ...(topics?.topics ?? []).map((topic): PaletteItem => ({ id: `s${topic.name}`, name: topic.name, group: 'Topic', icon: IconBroadcast, act: () => navigate(links.topic(topic.name)) })),
      ...(groups ?? []).map((group): PaletteItem => ({ id: `g${group.name}`, name: group.name, group: 'Group', icon: IconUser, act: () => navigate(links.group(group.name)) })),
      ...(deliveries ?? []).map((delivery): PaletteItem => ({ id: `d${delivery.name}`, name: delivery.name, group: 'Delivery', icon: IconArrowRight, act: () => navigate(links.delivery(delivery.name)) })),
    ];
    const ofPage = here.map((action): PaletteItem => ({ ...action, group: 'This page' }));
    return [...ofPage, ...pages, ...actions, ...queries, ...objects, ...streams];
  }, [navigate, setColorScheme, tables, saved, topics, groups, deliveries, here]);
}
