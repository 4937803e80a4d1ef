import { useEffect, useState } from 'react';
import { useLocation } from 'wouter';

import { IconFileUpload } from '../components/icons';
import { links } from '../lib/link';
import { sendFiles } from '../services/queue';
import classes from './DropOverlay.module.css';

const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;

/** A file dropped anywhere is sent to the server and previewed. */
export function DropOverlay() {
  const [over, setOver] = useState(false);
  const [, navigate] = useLocation();
  useEffect(() => {
    let depth = 0;
    const enter = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent): void => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent): void => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      void sendFiles(files).then((id) => id && navigate(links.load(id)));
    };
    const listeners = { dragenter: enter, dragleave: leave, dragover: hover, drop } as const;
    for (const [name, listener] of Object.entries(listeners)) window.addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) window.removeEventListener(name, listener as EventListener);
    };
  }, [navigate]);
  if (!over) return null;
  return (
    <div className={classes.overlay} aria-hidden="true">
      <div className={classes.box}>
        <IconFileUpload size={32} stroke={1.4} />
        <p className={classes.title}>Drop to load</p>
        <p className="second">CSV, JSON, Parquet, Avro, Excel, logs; also compressed. You see it before it is loaded.</p>
      </div>
    </div>
  );
}
