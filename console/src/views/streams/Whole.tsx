import { Button } from '@mantine/core';

import { DetailPanel, WholeText } from '../../components/DetailPanel';
import { Failure } from '../../components/Failure';
import { IconKey } from '../../components/icons';
import { bytes, exactTime } from '../../lib/format';
import { headersOf, inWhole, jsonOf, keyOf, pretty } from '../../lib/messages';
import { useMessage } from '../../services/streams';
import type { Message, Payload } from '../../services/types';
import { Json } from './Json';
import classes from './Messages.module.css';

interface Props {
  topic: string;
  message: Message;
  /** Shows all messages with a key; not given where that is done already. */
  onKey?: (key: string) => void;
  onClose: () => void;
}

/** One message, whole: what the list has of it at once, the rest as soon as it is there. */
export function Whole(props: Props) {
  const { message } = props;
  const isCut = message.key.cut || message.value.cut || message.headers.cut;
  return isCut ? <Asked {...props} /> : <Shown {...props} />;
}

function Asked(props: Props) {
  const answer = useMessage(props.topic, props.message.partition, props.message.offset);
  return <Shown {...props} message={answer.data ?? props.message} error={answer.error} />;
}

function Shown({ message, error = null, onKey, onClose }: Omit<Props, 'topic'> & { error?: unknown }) {
  const key = keyOf(message.key);
  const headers = headersOf(message);
  return (
    <DetailPanel title={`Message ${message.offset}`} note={`partition ${message.partition}`} text={pretty(message.value)} onClose={onClose}>
      {error !== null && <Failure error={error} what="The whole message could not be read" />}
      {message.timestamp && (
        <Part name="Time">
          <p className="num">{exactTime(message.timestamp)}</p>
        </Part>
      )}
      <Part name="Key" note={noteOf(message.key)}>
        <Content payload={message.key} none="No key" />
        {onKey && key !== null && (
          <Button className={classes.byKey} variant="subtle" size="compact-sm" leftSection={<IconKey size={14} stroke={1.6} />} onClick={() => onKey(key)}>
            All with this key
          </Button>
        )}
      </Part>
      {headers.length > 0 && (
        <Part name="Headers">
          <dl className={classes.pairs}>
            {headers.map(([name, value], index) => (
              <div key={index}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </Part>
      )}
      <Part name="Value" note={noteOf(message.value)}>
        <Content payload={message.value} none="No value: a compacted topic forgets the key" />
      </Part>
    </DetailPanel>
  );
}

/** How large it is, and how it was read. */
function noteOf(payload: Payload): string {
  if (payload.kind === 'none') return '';
  const kind = payload.kind === 'json' ? 'JSON' : payload.kind === 'binary' ? 'bytes' : 'text';
  const by = payload.schema_id !== null && payload.kind === 'json' ? ` by schema ${payload.schema_id}` : '';
  return `${kind}${by} · ${bytes(payload.bytes)}`;
}

function Content({ payload, none }: { payload: Payload; none: string }) {
  if (payload.kind === 'none') return <p className="quiet">{none}</p>;
  const json = jsonOf(payload);
  return (
    <>
      {typeof json === 'object' && json !== null ? <Json value={json} /> : <WholeText text={inWhole(payload)} />}
      {payload.cut && <p className="quiet small">Only the beginning of it.</p>}
    </>
  );
}

function Part({ name, note = '', children }: { name: string; note?: string; children: React.ReactNode }) {
  return (
    <section className={classes.part}>
      <h3 className="second small">
        {name}
        {note && <span className="quiet num">{note}</span>}
      </h3>
      {children}
    </section>
  );
}
