import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import './theme/tokens.css';
import './theme/styles';
import './theme/base.css';
import './theme/overrides.css';

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './App';

// The console link of a used-up token arrives as `/#/login?expired=1`, because only the browser may decide what to show.
if (location.hash.startsWith('#/login')) history.replaceState(null, '', `/login${location.hash.slice('#/login'.length)}`);

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
