import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, Suspense, useEffect } from 'react';
import { Redirect, Route, Switch, useLocation } from 'wouter';

import { Frame } from './frame/Frame';
import { PageSkeleton } from './components/PageSkeleton';
import { Failure } from './components/Failure';
import { NotFound } from './components/NotFound';
import { ApiError, whenSignedOut } from './services/client';
import { useMe } from './services/hooks';
import { schemeManager } from './theme/scheme';
import { cssVariables, theme } from './theme/mantine';
import { ROOMS } from './rooms';

const Login = lazy(() => import('./views/login/Login'));

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // The server is often on this machine, which then needs no network.
      networkMode: 'always',
      refetchOnWindowFocus: true,
      // What the server has refused it will refuse again; only a lost connection is worth another try.
      retry: (times, error) => times < 2 && error instanceof ApiError && error.kind === 'connection',
    },
  },
});

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} colorSchemeManager={schemeManager} defaultColorScheme="auto">
      <QueryClientProvider client={client}>
        <Switch>
          <Route path="/login">
            <Suspense fallback={null}>
              <Login />
            </Suspense>
          </Route>
          <Route>
            <SignedIn />
          </Route>
        </Switch>
      </QueryClientProvider>
    </MantineProvider>
  );
}

function SignedIn() {
  const me = useMe();
  const [, navigate] = useLocation();
  useEffect(
    () =>
      whenSignedOut(() => {
        client.clear();
        navigate(loginHere(), { replace: true });
      }),
    [navigate],
  );
  if (me.error instanceof ApiError && me.error.kind === 'unauthenticated') return <Redirect to={loginHere()} replace />;
  if (me.error) {
    return (
      <main style={{ maxWidth: 560, margin: '15vh auto', padding: 16 }}>
        <h1 className="hidden-visually">Polder</h1>
        <Failure error={me.error} onRetry={() => void me.refetch()} />
      </main>
    );
  }
  return (
    <Frame>
      <Suspense fallback={<PageSkeleton />}>
        <Switch>
          {ROOMS.flatMap((room) =>
            room.routes.map((route) => <Route key={route.path} path={route.path} component={route.view} />),
          )}
          <Route component={NotFound} />
        </Switch>
      </Suspense>
    </Frame>
  );
}

/** The sign-in page, which leads back to where the person was. */
function loginHere(): string {
  const here = location.pathname + location.search + location.hash;
  return here === '/' ? '/login' : `/login?next=${encodeURIComponent(here)}`;
}
