import { type ReactNode, useRef } from 'react';

import classes from './LinkTabs.module.css';

interface Props {
  label: string;
  tabs: { id: string; name: string; count?: number | null }[];
  value: string;
  onChange: (id: string) => void;
  children: ReactNode;
}

/** Tabs whose choice is in the address. */
export function LinkTabs({ label, tabs, value, onChange, children }: Props) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: React.KeyboardEvent, index: number): void => {
    const move = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (move === 0) return;
    const next = (index + move + tabs.length) % tabs.length;
    onChange(tabs[next]?.id ?? value);
    list.current?.querySelectorAll('button')[next]?.focus();
  };
  return (
    <>
      <div role="tablist" aria-label={label} className={classes.tabs} ref={list}>
        {tabs.map((tab, index) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`tab-${tab.id}`}
            aria-selected={tab.id === value}
            aria-controls="tab-panel"
            tabIndex={tab.id === value ? 0 : -1}
            className={classes.tab}
            onClick={() => onChange(tab.id)}
            onKeyDown={(event) => onKeyDown(event, index)}
          >
            {tab.name}
            {tab.count !== undefined && tab.count !== null && <span className={classes.count}>{tab.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${value}`} className={classes.panel}>
        {children}
      </div>
    </>
  );
}
