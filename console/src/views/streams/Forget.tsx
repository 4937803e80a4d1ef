import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';

import { Dialog } from '../../components/Dialog';
import { Failure } from '../../components/Failure';
import { useStreamsRefresh } from '../../services/streams';
import classes from './Streams.module.css';

interface Props {
  /** What it is: `topic`. */
  noun: string;
  name: string;
  /** What is lost with it. */
  loss: string;
  remove: () => Promise<unknown>;
  onClose: () => void;
  onGone: () => void;
}

/** What cannot be undone is asked for by its name. */
export function Forget({ noun, name, loss, remove, onClose, onGone }: Props) {
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const refresh = useStreamsRefresh();
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (typed !== name) return;
    setBusy(true);
    setError(null);
    try {
      await remove();
      refresh();
      onGone();
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Delete ${noun}`} size={440} onClose={onClose}>
      <form className={classes.form} onSubmit={(event) => void submit(event)}>
        <p className="second">{loss} This cannot be undone.</p>
        <TextInput
          label={
            <>
              Type <span className="mono">{name}</span> to delete it
            </>
          }
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          data-autofocus
          autoComplete="off"
          spellCheck={false}
        />
        {error !== null && <Failure error={error} what={`The ${noun} was not deleted`} />}
        <div className={classes.buttons}>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" color="var(--bad)" disabled={typed !== name || busy}>
            Delete {noun}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
