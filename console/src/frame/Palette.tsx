import { useEffect, useId, useMemo, useRef, useState } from 'react';

import { Dialog } from '../components/Dialog';
import { IconSearch } from '../components/icons';
import { rank } from '../lib/rank';
import { type PaletteItem, usePaletteItems } from './paletteItems';
import { panels } from './panels';
import { takeTyped } from './typedAhead';
import classes from './Palette.module.css';

const SHOWN_MAX = 40;

/** Ctrl-K: every page, table, topic, group, delivery, saved query and action by typing a part of its name. */
export default function Palette() {
  return (
    <Dialog title="Search or jump to" hideTitle size={620} onClose={() => panels.set(null)}>
      <Search />
    </Dialog>
  );
}

function Search() {
  const [text, setText] = useState(takeTyped);
  const [active, setActive] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const id = useId();
  const items = usePaletteItems();
  const found = useMemo(() => rank(items, text, (item) => `${item.name} ${item.group}`).slice(0, SHOWN_MAX), [items, text]);
  const at = Math.min(active, Math.max(0, found.length - 1));
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  const choose = (item: PaletteItem | undefined): void => {
    if (!item) return;
    panels.set(null);
    item.act();
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (move !== 0 && found.length > 0) {
      event.preventDefault();
      setActive((at + move + found.length) % found.length);
    } else if (event.key === 'Enter') {
      event.preventDefault();
      choose(found[at]);
    }
  };
  return (
    <div className={classes.palette}>
      <div className={classes.input}>
        <IconSearch size={18} stroke={1.7} aria-hidden="true" />
        <input
          data-autofocus
          autoFocus
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setActive(0);
          }}
          onKeyDown={onKeyDown}
          placeholder="Search pages, tables, topics, queries, actions"
          role="combobox"
          aria-label="Search or jump to"
          aria-expanded="true"
          aria-controls={`${id}list`}
          aria-activedescendant={found.length > 0 ? `${id}${at}` : undefined}
          autoComplete="off"
          spellCheck={false}
        />
      </div>
      <ul className={classes.list} role="listbox" id={`${id}list`} aria-label="Found" ref={list}>
        {found.map((item, index) => (
          <li
            key={item.id}
            id={`${id}${index}`}
            role="option"
            aria-selected={index === at}
            className={classes.item}
            onMouseMove={() => setActive(index)}
            onClick={() => choose(item)}
          >
            <item.icon size={16} stroke={1.7} aria-hidden="true" />
            <span className={`ellipsis ${classes.name}`}>{item.name}</span>
            {item.keys && <kbd>{item.keys}</kbd>}
            <span className={classes.group}>{item.group}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className={classes.none}>Nothing is called “{text}”. Try a part of a table’s, a topic’s or a query’s name.</p>}
    </div>
  );
}
