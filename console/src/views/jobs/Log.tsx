import { useEffect, useRef, useState } from 'react';

import { Failure } from '../../components/Failure';
import { api } from '../../services/api';
import classes from './Jobs.module.css';

const ASK_MS = 700;

/** A run's log: read to its end, and then as it grows until the run has ended. */
export function Log({ id, open }: { id: string; open: boolean }) {
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [ended, setEnded] = useState(false);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    let from = 0;
    let timer = 0;
    let gone = false;
    const read = async (): Promise<void> => {
      try {
        const part = await api.runLog(id, from);
        if (gone) return;
        from = part.next;
        if (part.text !== '') setText((before) => before + part.text);
        setError(null);
        setEnded(part.ended);
        if (part.ended) return;
      } catch (caught) {
        if (gone) return;
        setError(caught);
      }
      timer = window.setTimeout(() => void read(), ASK_MS);
    };
    setText('');
    void read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [id]);
  // Stays at the end for who is there, and leaves alone who has scrolled up to read.
  useEffect(() => {
    const element = box.current;
    if (element && element.scrollHeight - element.scrollTop - element.clientHeight < 60) element.scrollTop = element.scrollHeight;
  }, [text]);
  return (
    <section aria-label="Log">
      <h2 className={classes.heading}>Log</h2>
      {error !== null && <Failure error={error} what="The log could not be read" />}
      <pre ref={box} className={classes.log} tabIndex={0} role="log" aria-live="polite">
        {text || (open ? 'Nothing is logged yet.' : 'Nothing was logged.')}
      </pre>
      {!ended && text !== '' && <p className="quiet small">It grows while the run goes on.</p>}
    </section>
  );
}
