import { ActionIcon, Button, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { CopyButton } from '../../components/CopyButton';
import { Failure } from '../../components/Failure';
import { IconTrash } from '../../components/icons';
import { SkeletonRows } from '../../components/Skeleton';
import { SqlText } from '../../components/SqlText';
import { TimeAgo } from '../../components/TimeAgo';
import { exactTime } from '../../lib/format';
import { api } from '../../services/api';
import type { ApiToken, NewApiToken } from '../../services/types';
import { Section } from './Section';
import classes from './Settings.module.css';

const DAY = 86_400_000;
const LIFETIMES = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'One year' },
  { value: '', label: 'No end' },
];

/** Tokens for programs. A secret is shown once. */
export function Tokens() {
  const tokens = useQuery({ queryKey: ['tokens'], queryFn: api.tokens });
  const client = useQueryClient();
  const [made, setMade] = useState<NewApiToken | null>(null);
  const again = (): void => void client.invalidateQueries({ queryKey: ['tokens'] });
  return (
    <>
      <Section title="New token" about="For programs that speak to the API in your name. Send it as a bearer token.">
        <NewToken
          onMade={(token) => {
            setMade(token);
            again();
          }}
        />
        {made && <Secret made={made} />}
      </Section>
      <Section title="Tokens" about="A deleted token stops working at once.">
        {tokens.isPending && <SkeletonRows rows={2} />}
        {tokens.error && <Failure error={tokens.error} onRetry={() => void tokens.refetch()} />}
        {tokens.data?.length === 0 && <p className="second">No token yet. The one you make is listed here, without its secret.</p>}
        {tokens.data && tokens.data.length > 0 && <TokenTable tokens={tokens.data} onDeleted={again} />}
      </Section>
      <Section title="How to use it">
        <div style={{ width: '100%' }}>
          <SqlText plain text={`curl -H "Authorization: Bearer $POLDER_TOKEN" \\\n  --json '{"sql": "SELECT 1", "format": "json"}' \\\n  ${location.origin}/api/v1/statements`} />
        </div>
      </Section>
    </>
  );
}

function NewToken({ onMade }: { onMade: (token: NewApiToken) => void }) {
  const [name, setName] = useState('');
  const [days, setDays] = useState('90');
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setError(null);
    try {
      onMade(await api.createToken(name.trim(), days === '' ? null : new Date(Date.now() + Number(days) * DAY).toISOString()));
      setName('');
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <>
      <form className={classes.inline} onSubmit={(event) => void submit(event)}>
        <TextInput label="What it is for" value={name} onChange={(event) => setName(event.currentTarget.value)} placeholder="nightly export" maxLength={80} autoComplete="off" />
        <Select label="Works for" data={LIFETIMES} value={days} onChange={(value) => setDays(value ?? '')} allowDeselect={false} w={120} />
        <Button type="submit" disabled={name.trim() === ''}>
          Create token
        </Button>
      </form>
      {error !== null && <Failure error={error} what="No token was made" />}
    </>
  );
}

function Secret({ made }: { made: NewApiToken }) {
  return (
    <div className={classes.secret} role="status">
      <p>
        <span className="strong">{made.token.name}</span> is ready. Copy it now: it is not shown again.
      </p>
      <code>{made.secret}</code>
      <CopyButton text={made.secret} label="Copy token" plain="Copy token" />
    </div>
  );
}

function TokenTable({ tokens, onDeleted }: { tokens: ApiToken[]; onDeleted: () => void }) {
  const [error, setError] = useState<unknown>(null);
  const [asked, setAsked] = useState<string | null>(null);
  const remove = async (token: ApiToken): Promise<void> => {
    // Deleting cannot be undone, so a second press is asked for.
    if (asked !== token.id) {
      setAsked(token.id);
      return;
    }
    try {
      await api.deleteToken(token.id);
      onDeleted();
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <>
      {error !== null && <Failure error={error} />}
      <table className={classes.tokens} aria-label="API tokens">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Last used</th>
            <th scope="col">Ends</th>
            <th scope="col">
              <span className="hidden-visually">Delete</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <tr key={token.id}>
              <td>{token.name}</td>
              <td className="second">{token.last_used_at ? <TimeAgo time={token.last_used_at} /> : 'never'}</td>
              <td className="second">{token.expires_at ? <span title={exactTime(token.expires_at)}>{token.expires_at.slice(0, 10)}</span> : 'never'}</td>
              <td>
                {asked === token.id ? (
                  <Button variant="default" size="compact-sm" onClick={() => void remove(token)} onBlur={() => setAsked(null)} autoFocus styles={{ label: { color: 'var(--bad)' } }}>
                    Delete
                  </Button>
                ) : (
                  <ActionIcon onClick={() => void remove(token)} aria-label={`Delete ${token.name}`}>
                    <IconTrash size={16} stroke={1.6} />
                  </ActionIcon>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
