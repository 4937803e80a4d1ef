import type { ReactNode } from 'react';

import { type Crumb, useCrumbs } from '../frame/crumbs';
import classes from './Page.module.css';

interface Props {
  title: ReactNode;
  /** What a breadcrumb and the browser's title say; the title itself when it is plain text. */
  name?: string;
  /** One line of what it is. */
  description?: ReactNode;
  /** At most two buttons, one of them primary. */
  actions?: ReactNode;
  /** The pages above this one. */
  above?: Crumb[];
  narrow?: boolean;
  children: ReactNode;
}

/** A page: title row, then content. */
export function Page({ title, name, description, actions, above = [], narrow, children }: Props) {
  useCrumbs([...above, { name: name ?? (typeof title === 'string' ? title : '') }]);
  return (
    <div className={classes.page} data-narrow={narrow || undefined}>
      <header className={classes.head}>
        <div className={classes.titles}>
          <h1 className={classes.title}>{title}</h1>
          {description && <div className={classes.description}>{description}</div>}
        </div>
        {actions && <div className={classes.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}
