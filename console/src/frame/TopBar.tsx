import { Menu } from '@mantine/core';
import { Fragment } from 'react';
import { Link, useLocation } from 'wouter';

import { IconChevronRight, IconKey, IconLogout, IconSearch, IconSettings, IconTerminal2 } from '../components/icons';
import { useStore } from '../lib/store';
import { api } from '../services/api';
import { useMe } from '../services/hooks';
import { crumbStore } from './crumbs';
import { panels } from './panels';
import { RunningCount } from './RunningCount';
import classes from './TopBar.module.css';

export function TopBar() {
  const crumbs = useStore(crumbStore);
  return (
    <header className={classes.bar}>
      <nav aria-label="Breadcrumbs" className={classes.crumbs}>
        <ol>
          {crumbs.map((crumb, index) => (
            <Fragment key={crumb.name + index}>
              {index > 0 && <IconChevronRight size={14} className={classes.between} aria-hidden="true" />}
              <li className="ellipsis">
                {crumb.href && index < crumbs.length - 1 ? (
                  <Link href={crumb.href}>{crumb.name}</Link>
                ) : (
                  <span aria-current="page" title={crumb.name}>
                    {crumb.name}
                  </span>
                )}
              </li>
            </Fragment>
          ))}
        </ol>
      </nav>
      <button type="button" className={classes.search} onClick={() => panels.set('palette')}>
        <IconSearch size={16} stroke={1.7} />
        <span>Search or jump to </span>
        <kbd>Ctrl K</kbd>
      </button>
      <RunningCount />
      <UserMenu />
    </header>
  );
}

function UserMenu() {
  const me = useMe();
  const [, navigate] = useLocation();
  const name = me.data?.user ?? '';
  const signOut = async (): Promise<void> => {
    await api.logout();
    navigate('/login');
  };
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <button type="button" className={classes.user} aria-label={`Account of ${name}`} title={name}>
          {name.slice(0, 1).toUpperCase()}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label className={classes.who}>
          <span className="strong ellipsis">{name}</span>
          <span className="small">Polder {me.data?.version}</span>
        </Menu.Label>
        <Menu.Item component={Link} href="/settings/account" leftSection={<IconSettings size={16} />}>
          Settings
        </Menu.Item>
        <Menu.Item component={Link} href="/settings/tokens" leftSection={<IconKey size={16} />}>
          API tokens
        </Menu.Item>
        <Menu.Item leftSection={<IconTerminal2 size={16} />} onClick={() => panels.set('shortcuts')} rightSection={<kbd>?</kbd>}>
          Keyboard shortcuts
        </Menu.Item>
        {me.data?.auth !== 'trust' && (
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>
            Sign out
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
