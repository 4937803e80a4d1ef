import type { KafkaDoor } from '../services/types';

/** A word for a shell. */
const word = (text: string): string => (/^[\w.:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** The address that a client on the person's computer takes: a server that listens everywhere is where the console was found. */
export function kafkaAddress(kafka: KafkaDoor, host: string): string {
  const at = kafka.address.lastIndexOf(':');
  const listens = kafka.address.slice(0, at);
  const everywhere = listens === '0.0.0.0' || listens === '[::]';
  return everywhere ? `${host}${kafka.address.slice(at)}` : kafka.address;
}

/** A command that writes one record. */
export function kcatCommand(kafka: KafkaDoor, topic: string, user: string, host: string): string {
  const login = kafka.login ? ` \\\n  -X security.protocol=SASL_PLAINTEXT -X sasl.mechanism=SCRAM-SHA-256 \\\n  -X sasl.username=${word(user)} -X sasl.password="$PASSWORD"` : '';
  return `echo '{"hello": "world"}' | \\\n  kcat -b ${word(kafkaAddress(kafka, host))} -P -t ${word(topic)}${login}`;
}
