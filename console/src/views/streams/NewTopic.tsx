import { Button, Select, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';

import { Dialog } from '../../components/Dialog';
import { Failure } from '../../components/Failure';
import { api } from '../../services/api';
import { useStreamsRefresh } from '../../services/streams';
import classes from './Streams.module.css';

const DAY = 86_400_000;
const KEEPS = [
  { value: String(DAY), label: 'One day' },
  { value: String(7 * DAY), label: '7 days' },
  { value: String(30 * DAY), label: '30 days' },
  { value: '-1', label: 'For ever' },
  { value: 'compact', label: 'The last of each key' },
];

const PARTITIONS_MAX = 1_000;

/** What Kafka lets a topic be called. */
const NAME = /^[A-Za-z0-9._-]{1,249}$/;

/** Asks what a new topic is to be, and makes it. */
export function NewTopic({ onClose, onMade }: { onClose: () => void; onMade: (name: string) => void }) {
  const [name, setName] = useState('');
  const [partitions, setPartitions] = useState('1');
  const [keep, setKeep] = useState(String(7 * DAY));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const refresh = useStreamsRefresh();
  const isNamed = NAME.test(name) && name !== '.' && name !== '..';
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!isNamed) return;
    setBusy(true);
    setError(null);
    try {
      const settings: Record<string, string> = keep === 'compact' ? { 'cleanup.policy': 'compact' } : { 'retention.ms': keep };
      await api.createTopic({ name, partitions: Number(partitions) || 1, settings });
      refresh();
      onMade(name);
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <Dialog title="New topic" size={440} onClose={onClose}>
      <form className={classes.form} onSubmit={(event) => void submit(event)}>
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          placeholder="page-views"
          data-autofocus
          autoComplete="off"
          maxLength={249}
          error={name !== '' && !isNamed ? 'Letters, digits, dots, dashes and underscores' : null}
        />
        <TextInput type="number" label="Partitions" description="Readers of a group share them; there can be more later, never fewer." value={partitions} onChange={(event) => setPartitions(event.currentTarget.value)} min={1} max={PARTITIONS_MAX} step={1} required />
        <Select label="Keeps records for" data={KEEPS} value={keep} onChange={(value) => setKeep(value ?? '-1')} allowDeselect={false} />
        {error !== null && <Failure error={error} what="The topic was not made" />}
        <div className={classes.buttons}>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={!isNamed || busy}>
            Make topic
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
