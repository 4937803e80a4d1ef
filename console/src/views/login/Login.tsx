import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';
import { useLocation, useSearch } from 'wouter';

import { Failure } from '../../components/Failure';
import { IconInfoCircle } from '../../components/icons';
import { Mark } from '../../components/Mark';
import { api } from '../../services/api';
import classes from './Login.module.css';

/** Only an address of this console, so that a link cannot lead elsewhere after signing in. */
function safeNext(next: string | null): string {
  return next && next.startsWith('/') && !next.startsWith('//') && !next.startsWith('/login') && !next.includes('\\') ? next : '/';
}

export default function Login() {
  const params = new URLSearchParams(useSearch());
  const expired = params.has('expired');
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const [user, setUser] = useState('polder');
  const [password, setPassword] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = 'Sign in · Polder';
  }, []);
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await api.login(user, password);
      client.clear();
      navigate(safeNext(params.get('next')), { replace: true });
    } catch (caught) {
      setError(caught);
      setBusy(false);
    }
  };
  return (
    <main className={classes.page}>
      <form className={classes.form} onSubmit={(event) => void submit(event)}>
        <Mark size={40} />
        <div>
          <h1 className={classes.title}>Sign in to Polder</h1>
          <p className="second">The data cloud that you own.</p>
        </div>
        {expired && (
          <p className={classes.expired} role="status">
            <IconInfoCircle size={16} aria-hidden="true" />
            <span>
              This sign-in link has been used, or is too old. Sign in with the password, or print a new link with <code>polder up</code>.
            </span>
          </p>
        )}
        <TextInput label="User" value={user} onChange={(event) => setUser(event.currentTarget.value)} autoComplete="username" required withAsterisk={false} />
        <PasswordInput
          label="Password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          autoComplete="current-password"
          required
          withAsterisk={false}
          autoFocus
          visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }}
        />
        {error !== null && <Failure error={error} what="Not signed in" />}
        <Button type="submit" fullWidth loading={busy} disabled={user === '' || password === ''}>
          Sign in
        </Button>
        <p className="small quiet">
          The first start writes the password to <code>credentials.toml</code> in the data directory.
        </p>
      </form>
    </main>
  );
}
