import { Button } from '@mantine/core';

import { type Place, placeInWhole } from '../lib/sql';
import { asApiError } from '../services/client';
import { CopyButton } from './CopyButton';
import { IconAlertTriangle, IconRefresh } from './icons';
import { Prose } from './Prose';
import classes from './Failure.module.css';

interface Props {
  error: unknown;
  /** What failed, when the message alone does not say it. */
  what?: string;
  /** Where the text begins that the error's place is in, when that is a part of what is on the screen. */
  start?: Place;
  onRetry?: () => void;
}

/** An error in its place: what, where, what next, and an id to copy. */
export function Failure({ error, what, start = { line: 1, column: 1 }, onRetry }: Props) {
  const shown = asApiError(error);
  const place = shown.line === null ? null : placeInWhole(start, { line: shown.line, column: shown.column ?? 1 });
  return (
    <div className={classes.failure} role="alert">
      <IconAlertTriangle size={18} className={classes.icon} aria-hidden="true" />
      <div className={classes.text}>
        <p>
          <span className="strong">{what ?? 'Failed'}: </span>
          <Prose text={shown.message} />
          {place && (
            <span className={classes.where}>
              {' '}
              at line {place.line}
              {shown.column !== null && `, column ${place.column}`}
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
