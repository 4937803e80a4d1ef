import { SqlText } from '../../components/SqlText';
import { plural } from '../../lib/format';
import type { TopicDetail, TopicSetting } from '../../services/types';
import classes from './Streams.module.css';

/** How a topic is set up: what was set for it first, then what it has by default; and the schema of its values. */
export function Settings({ detail }: { detail: TopicDetail }) {
  const own = detail.settings.filter((setting) => setting.source === 'topic');
  const others = detail.settings.filter((setting) => setting.source !== 'topic');
  const schema = detail.topic.schema;
  return (
    <div className={classes.stack}>
      <section>
        <h2 className={classes.heading}>Set for this topic</h2>
        {own.length > 0 ? <List settings={own} label="Set for this topic" /> : <p className="second">Nothing: it is set up as the server does by itself.</p>}
      </section>
      <section>
        <h2 className={classes.heading}>Schema of its values</h2>
        {schema ? (
          <>
            <p className={`second num ${classes.before}`}>
              {schema.kind} · version {schema.version} of {schema.subject} · id {schema.id}
            </p>
            <SqlText plain text={readable(schema.text)} />
          </>
        ) : (
          <p className="second">
            None is registered under <span className="mono">{detail.topic.name}-value</span>. Values are shown as the JSON or the text that they are.
          </p>
        )}
      </section>
      <details>
        <summary className={classes.heading}>{plural(others.length, 'setting')} left as they are</summary>
        <List settings={others} label="Left as they are" />
      </details>
    </div>
  );
}

function List({ settings, label }: { settings: TopicSetting[]; label: string }) {
  return (
    <table className={classes.table} aria-label={label}>
      <tbody>
        {settings.map((setting) => (
          <tr key={setting.name}>
            <td className="mono ellipsis">{setting.name}</td>
            <td className="mono ellipsis">{setting.value ?? <span className="quiet">none</span>}</td>
            <td className={`second small ${classes.wide}`}>{setting.documentation}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** JSON over several lines; other languages of schemas are lines already. */
function readable(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
