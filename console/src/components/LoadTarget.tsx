import { Button, TextInput } from '@mantine/core';
import { type FormEvent, useRef, useState } from 'react';
import { useLocation } from 'wouter';

import { links } from '../lib/link';
import { sendFiles } from '../services/queue';
import { IconFileUpload } from './icons';
import classes from './LoadTarget.module.css';

/** A place to drop a file on, to choose one, or to name one that the server can reach. */
export function LoadTarget() {
  const input = useRef<HTMLInputElement>(null);
  const [source, setSource] = useState('');
  const [, navigate] = useLocation();
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (source.trim()) navigate(links.loadSource(source.trim()));
  };
  const send = (files: FileList | null): void => {
    if (!files || files.length === 0) return;
    void sendFiles([...files]).then((id) => id && navigate(links.load(id)));
  };
  return (
    <div className={classes.target}>
      <div className={classes.drop}>
        <IconFileUpload size={32} stroke={1.3} className={classes.icon} aria-hidden="true" />
        <p className={classes.title}>Drop a file here, or anywhere on this page</p>
        <p className="second">CSV, TSV, JSON, Parquet, Avro, Excel, ODS or web logs; also gz, zst, bz2, zip. You see it before it is loaded.</p>
        <Button leftSection={<IconFileUpload size={16} />} onClick={() => input.current?.click()} mt={8}>
          Load file
        </Button>
        <input ref={input} type="file" multiple hidden aria-label="File to load" onChange={(event) => send(event.currentTarget.files)} />
      </div>
      <form className={classes.source} onSubmit={submit}>
        <TextInput
          className={classes.field}
          label="Or an address that the server can reach"
          placeholder="https://…, s3://…, or a path on the server"
          value={source}
          onChange={(event) => setSource(event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
        />
        <Button type="submit" variant="default" disabled={source.trim() === ''}>
          Preview
        </Button>
      </form>
    </div>
  );
}
