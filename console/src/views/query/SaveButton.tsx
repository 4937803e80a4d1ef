import { Button, Popover, Textarea, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';

import { Failure } from '../../components/Failure';
import { IconBookmark, IconCheck } from '../../components/icons';
import { api } from '../../services/api';
import { useSavedQueries } from '../../services/hooks';
import { type QueryTab, updateTab } from '../../services/tabs';
import { isDirty } from './saving';

/** Keeps a query with its chart under a name. A query that has one is saved over it. */
export function SaveButton({ tab }: { tab: QueryTab }) {
  const client = useQueryClient();
  const saved = useSavedQueries().data ?? [];
  const known = saved.find((query) => query.id === tab.savedId);
  const dirty = isDirty(tab, saved);
  const [open, setOpen] = useState(false);
  const [name, setName] = useState('');
  const [description, setDescription] = useState('');
  const [error, setError] = useState<unknown>(null);

  const ask = (): void => {
    setName(known?.name ?? '');
    setDescription(known?.description ?? '');
    setError(null);
    setOpen(true);
  };
  const keep = async (asNew: boolean, draftName: string, draftDescription: string): Promise<void> => {
    const draft = { name: draftName, description: draftDescription, sql: tab.sql, chart: tab.chart };
    try {
      const query = known && !asNew ? await api.updateSavedQuery(known.id, draft) : await api.createSavedQuery(draft);
      updateTab(tab.id, { savedId: query.id, name: query.name, chart: query.chart });
      await client.invalidateQueries({ queryKey: ['saved'] });
      setOpen(false);
    } catch (caught) {
      setError(caught);
      setOpen(true);
    }
  };
  const press = (): void => {
    if (known && dirty) void keep(false, known.name, known.description);
    else ask();
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 's') return;
      event.preventDefault();
      if (tab.sql.trim() !== '') press();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name.trim()) void keep(false, name.trim(), description.trim());
  };
  const label = known ? (dirty ? 'Save changes' : 'Saved') : 'Save query';
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-start" width={340} trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" onClick={press} disabled={tab.sql.trim() === ''} leftSection={known && !dirty ? <IconCheck size={16} /> : <IconBookmark size={16} stroke={1.7} />}>
          {label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={16} aria-label="Save query">
        <form onSubmit={submit} style={{ display: 'flex', flexDirection: 'column', gap: 12 }}>
          <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus required withAsterisk={false} maxLength={120} autoComplete="off" />
          <Textarea label="What it shows" value={description} onChange={(event) => setDescription(event.currentTarget.value)} rows={2} maxLength={500} />
          {error !== null && <Failure error={error} />}
          <div style={{ display: 'flex', gap: 8, justifyContent: 'flex-end' }}>
            {known && (
              <Button variant="default" onClick={() => void keep(true, name.trim() || known.name, description.trim())}>
                Save as new
              </Button>
            )}
            <Button type="submit" disabled={name.trim() === ''}>
              {known ? 'Save' : 'Save query'}
            </Button>
          </div>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
