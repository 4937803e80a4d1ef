import { useCatalog, useMe } from '../../services/hooks';
import { Section } from './Section';
import classes from './Settings.module.css';

export function About() {
  const me = useMe();
  const catalog = useCatalog();
  return (
    <>
      <Section title="Polder" about="The data cloud that you own.">
        <dl className={classes.facts}>
          <div>
            <dt>Version</dt>
            <dd className="num">{me.data?.version}</dd>
          </div>
          <div>
            <dt>Address</dt>
            <dd>{location.origin}</dd>
          </div>
          <div>
            <dt>Lake version</dt>
            <dd className="num">{catalog.data?.snapshot ?? '–'}</dd>
          </div>
          <div>
            <dt>Licence</dt>
            <dd>Apache-2.0</dd>
          </div>
        </dl>
      </Section>
      <Section title="For programs" about="The API that this console uses, described for machines.">
        <p>
          <a href="/api/v1/openapi.json">OpenAPI document</a>
        </p>
      </Section>
    </>
  );
}
