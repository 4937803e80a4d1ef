import { CopyButton } from '../../components/CopyButton';
import { SqlText } from '../../components/SqlText';
import { kcatCommand } from '../../lib/kcat';
import { useMe } from '../../services/hooks';
import type { KafkaDoor } from '../../services/types';
import classes from './Streams.module.css';

/** How the first record comes into a topic: a command to copy, with this server's own address. */
export function Produce({ kafka, topic, children }: { kafka: KafkaDoor | null; topic: string; children?: React.ReactNode }) {
  const me = useMe();
  const command = kafka && kcatCommand(kafka, topic, me.data?.user ?? 'polder', window.location.hostname);
  return (
    <div className={classes.teach}>
      {children}
      {command ? (
        <>
          <p className="second">Any Kafka client writes to it. With kcat, from this computer’s shell:</p>
          <div className={classes.command}>
            <SqlText plain text={command} />
            <CopyButton text={command} label="Copy the command" />
          </div>
          <p className="quiet small">Records stand here as soon as they are written. Producers in any language take the same address.</p>
        </>
      ) : (
        <p className="second">Kafka’s protocol is switched off here: start the server with --kafka and an address, so that producers can write.</p>
      )}
    </div>
  );
}
