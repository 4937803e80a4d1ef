import { lazy, type ReactNode, Suspense, useEffect, useRef } from 'react';
import { useLocation } from 'wouter';

import { useStore } from '../lib/store';
import { Toasts } from '../components/Toasts';
import { DropOverlay } from './DropOverlay';
import { panels } from './panels';
import { Rail } from './Rail';
import { TopBar } from './TopBar';
import { Uploads } from './Uploads';
import { useShortcuts } from './useShortcuts';
import classes from './Frame.module.css';

const palette = () => import('./Palette');
const Palette = lazy(palette);
const Shortcuts = lazy(() => import('./Shortcuts'));

/** Everything around a page: rail, top bar, and what can appear over any page. */
export function Frame({ children }: { children: ReactNode }) {
  const [path] = useLocation();
  const main = useRef<HTMLElement>(null);
  const panel = useStore(panels);
  useShortcuts();
  // Fetched before it is asked for, so that no key typed after Ctrl-K is lost.
  useEffect(() => {
    const timer = setTimeout(() => void palette(), 600);
    return () => clearTimeout(timer);
  }, []);
  useEffect(() => {
    main.current?.scrollTo(0, 0);
  }, [path]);
  return (
    <div className={classes.frame}>
      <a className={classes.skip} href="#main">
        Skip to content
      </a>
      <Rail />
      <TopBar />
      <main className={classes.main} id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      <Suspense fallback={null}>
        {panel === 'palette' && <Palette />}
        {panel === 'shortcuts' && <Shortcuts />}
      </Suspense>
      <DropOverlay />
      <Uploads />
      <Toasts />
    </div>
  );
}
