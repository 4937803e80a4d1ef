import { ActionIcon } from '@mantine/core';
import type { ReactNode } from 'react';

import { CopyButton } from './CopyButton';
import { IconX } from './icons';
import classes from './DetailPanel.module.css';

interface SplitProps {
  /** What lies open beside the content, or below it where there is no room. */
  detail: ReactNode;
  children: ReactNode;
}

/** Content with a detail beside it. */
export function WithDetail({ detail, children }: SplitProps) {
  return (
    <div className={classes.space}>
      <div className={classes.split} data-open={detail ? true : undefined}>
        <div className={classes.content}>{children}</div>
        {detail}
      </div>
    </div>
  );
}

interface Props {
  title: string;
  /** A word on the title. */
  note?: string;
  /** What the button copies. */
  text: string;
  onClose: () => void;
  children: ReactNode;
}

/** One thing of many, whole. Esc closes it. */
export function DetailPanel({ title, note, text, onClose, children }: Props) {
  return (
    <section
      className={classes.panel}
      aria-label={`${title}, whole`}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        onClose();
      }}
    >
      <header className={classes.head}>
        <h2 className="ellipsis">{title}</h2>
        {note && <span className="quiet small num">{note}</span>}
        <span className={classes.gap} />
        <CopyButton text={text} label="Copy the text" />
        <ActionIcon onClick={onClose} aria-label="Close">
          <IconX size={16} stroke={1.7} />
        </ActionIcon>
      </header>
      <div className={classes.body} tabIndex={0} role="group" aria-label="Text">
        {children}
      </div>
    </section>
  );
}

/** Text as it is, every line of it. */
export function WholeText({ text }: { text: string }) {
  return <pre className={classes.text}>{text}</pre>;
}
