import { Button, PasswordInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';

import { Failure } from '../../components/Failure';
import { IconCheck } from '../../components/icons';
import { api } from '../../services/api';
import { useMe } from '../../services/hooks';
import { Section } from './Section';
import classes from './Settings.module.css';

const LENGTH_MIN = 8;

export function Account() {
  const me = useMe();
  return (
    <>
      <Section title="User" about="Who you are to this server.">
        <p>
          <span className="strong">{me.data?.user}</span>
          {me.data?.auth === 'trust' && <span className="second"> · the server trusts every connection from this machine (--auth trust)</span>}
        </p>
      </Section>
      <Section title="Password" about="It opens the console and the HTTP API; programs better use an API token.">
        <PasswordForm />
      </Section>
    </>
  );
}

function PasswordForm() {
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [done, setDone] = useState(false);
  const short = next !== '' && next.length < LENGTH_MIN ? `At least ${LENGTH_MIN} characters` : undefined;
  const differs = again !== '' && again !== next ? 'The two do not agree' : undefined;
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setError(null);
    setDone(false);
    try {
      await api.changePassword(old, next);
      setOld('');
      setNext('');
      setAgain('');
      setDone(true);
    } catch (caught) {
      setError(caught);
    }
  };
  return (
    <form className={classes.form} onSubmit={(event) => void submit(event)}>
      <PasswordInput label="Password now" value={old} onChange={(event) => setOld(event.currentTarget.value)} autoComplete="current-password" visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }} />
      <PasswordInput label="New password" value={next} onChange={(event) => setNext(event.currentTarget.value)} error={short} autoComplete="new-password" visibilityToggleButtonProps={{ 'aria-label': 'Show the new password' }} />
      <PasswordInput label="New password again" value={again} onChange={(event) => setAgain(event.currentTarget.value)} error={differs} autoComplete="new-password" visibilityToggleButtonProps={{ 'aria-label': 'Show the new password again' }} />
      {error !== null && <Failure error={error} what="The password was not changed" />}
      {done && (
        <p className={classes.done} role="status">
          <IconCheck size={16} aria-hidden="true" /> Password changed
        </p>
      )}
      <div>
        <Button type="submit" disabled={old === '' || next === '' || again !== next || short !== undefined}>
          Change password
        </Button>
      </div>
    </form>
  );
}
