import { ActionIcon, Tooltip } from '@mantine/core';
import { useEffect, useState } from 'react';

import { copyText } from '../lib/clipboard';
import { IconCheck, IconCopy } from './icons';
import classes from './CopyButton.module.css';

/** True for a moment after copying, so that the button itself says it. */
export function useCopy(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  return [copied, (text) => void copyText(text).then(setCopied)];
}

interface Props {
  text: string;
  label: string;
  /** Shown as text beside the icon, for ids and snippets. */
  plain?: string;
  icon?: React.ReactNode;
}

export function CopyButton({ text, label, plain, icon }: Props) {
  const [copied, copy] = useCopy();
  const shown = copied ? <IconCheck size={plain ? 14 : 16} /> : (icon ?? <IconCopy size={plain ? 14 : 16} stroke={1.7} />);
  if (plain) {
    return (
      <button type="button" className={classes.plain} onClick={() => copy(text)} aria-label={`${label}: ${plain}`}>
        <span className="ellipsis">{plain}</span>
        {shown}
        <span className="hidden-visually" aria-live="polite">
          {copied ? 'Copied' : ''}
        </span>
      </button>
    );
  }
  return (
    <Tooltip label={copied ? 'Copied' : label}>
      <ActionIcon onClick={() => copy(text)} aria-label={label}>
        {shown}
      </ActionIcon>
    </Tooltip>
  );
}
