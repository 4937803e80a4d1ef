import { Button } from '@mantine/core';

import { asApiError } from '../services/client';
import { CopyButton } from './CopyButton';
import { IconAlertTriangle, IconRefresh } from './icons';
import { Prose } from './Prose';
import classes from './Failure.module.css';

interface Props {
  error: unknown;
  /** What failed, when the message alone does not say it. */
  what?: string;
  onRetry?: () => void;
}

/** An error in its place: what, where, what next, and an id to copy. */
export function Failure({ error, what, onRetry }: Props) {
  const shown = asApiError(error);
  return (
    <div className={classes.failure} role="alert">
      <IconAlertTriangle size={18} className={classes.icon} aria-hidden="true" />
      <div className={classes.text}>
        <p>
          <span className="strong">{what ?? 'Failed'}: </span>
          <Prose text={shown.message} />
          {shown.line !== null && (
            <span className={classes.where}>
              {' '}
              at line {shown.line}
              {shown.column !== null && `, column ${shown.column}`}
            </span>
          )}
        </p>
        {shown.hint && <p className={classes.hint}><Prose text={shown.hint} /></p>}
        <div className={classes.foot}>
          {shown.code && <span className="mono">{shown.code}</span>}
          {shown.requestId && <CopyButton text={shown.requestId} label="Copy the request id" plain={shown.requestId} />}
        </div>
      </div>
      {onRetry && (
        <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
