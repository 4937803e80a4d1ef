import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';

import classes from './Dialog.module.css';

interface Props {
  title: string;
  /** The title is for screen readers; the content says it by itself. */
  hideTitle?: boolean;
  size: number;
  onClose: () => void;
  children: ReactNode;
}

/** What lies over the page until it is closed. */
export function Dialog({ title, hideTitle = false, size, onClose, children }: Props) {
  return (
    <Modal.Root opened onClose={onClose} size={size} yOffset={hideTitle ? '12vh' : undefined} centered={!hideTitle}>
      <Modal.Overlay />
      <Modal.Content className={classes.content}>
        <div className={hideTitle ? undefined : classes.head}>
          <Modal.Title className={hideTitle ? 'hidden-visually' : undefined}>{title}</Modal.Title>
          {!hideTitle && <Modal.CloseButton aria-label="Close" />}
        </div>
        <div className={hideTitle ? undefined : classes.body}>{children}</div>
      </Modal.Content>
    </Modal.Root>
  );
}
