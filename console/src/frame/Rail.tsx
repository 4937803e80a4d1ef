import { Tooltip } from '@mantine/core';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';

import { IconLayoutSidebarLeftExpand } from '../components/icons';
import { Mark } from '../components/Mark';
import { remember, remembered } from '../lib/store';
import { roomOf, ROOMS } from '../rooms';
import classes from './Rail.module.css';

const KEY = 'polder.rail';

/** The rooms; a bar at the bottom on a narrow screen. */
export function Rail() {
  const [open, setOpen] = useState(() => remembered(KEY, false));
  const [path] = useLocation();
  const here = roomOf(path);
  const toggle = (): void => {
    setOpen(!open);
    remember(KEY, !open);
  };
  return (
    <nav className={classes.rail} data-open={open || undefined} aria-label="Rooms">
      <Link href="/" className={classes.mark} aria-label="Polder, home">
        <Mark size={26} />
        <span className={classes.word} aria-hidden="true">
          Polder
        </span>
      </Link>
      <ul className={classes.rooms}>
        {ROOMS.map((room) => (
          <li key={room.path} className={room.path === '/settings' ? classes.last : undefined}>
            <Tooltip label={room.name} position="right" disabled={open}>
              <Link href={room.path} className={classes.room} aria-current={room === here ? 'page' : undefined}>
                <room.icon size={20} stroke={1.6} />
                <span className={classes.name}>{room.name}</span>
              </Link>
            </Tooltip>
          </li>
        ))}
      </ul>
      <Tooltip label={open ? 'Close the rail' : 'Open the rail'} position="right">
        <button type="button" className={classes.toggle} onClick={toggle} aria-expanded={open} aria-label={open ? 'Close the rail' : 'Open the rail'}>
          <IconLayoutSidebarLeftExpand size={18} stroke={1.5} />
        </button>
      </Tooltip>
    </nav>
  );
}
