import type { ReactNode } from 'react';

import classes from './Settings.module.css';

/** A heading with a line of what it is, and the thing itself beside it. */
export function Section({ title, about, children }: { title: string; about?: ReactNode; children: ReactNode }) {
  return (
    <section className={classes.section}>
      <div>
        <h2 className={classes.heading}>{title}</h2>
        {about && <p className="second">{about}</p>}
      </div>
      <div className={classes.content}>{children}</div>
    </section>
  );
}
