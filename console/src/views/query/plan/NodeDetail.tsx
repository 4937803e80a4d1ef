import { DetailPanel } from '../../../components/DetailPanel';
import { isNothing } from '../../../lib/explain';
import { type Metric, type PlanNode, propertiesOf } from '../../../lib/plan';
import classes from './NodeDetail.module.css';

/** All that the plan says of one operator. */
export function NodeDetail({ node, onClose }: { node: PlanNode; onClose: () => void }) {
  const properties = propertiesOf(node.detail);
  const metrics = node.metrics.filter((metric) => !isNothing(metric.value));
  const nothing = node.metrics.filter((metric) => isNothing(metric.value));
  return (
    <DetailPanel title={node.name} text={textOf(node)} onClose={onClose}>
      {properties.length === 0 && node.metrics.length === 0 && <p className="second">The plan says no more of it.</p>}
      {properties.length > 0 && (
        <dl className={classes.properties}>
          {properties.map((property, index) => (
            <div key={index}>
              {property.name && <dt className="small second">{property.name.replaceAll('_', ' ')}</dt>}
              <dd className="mono">{property.value}</dd>
            </div>
          ))}
        </dl>
      )}
      {metrics.length > 0 && <Metrics metrics={metrics} />}
      {nothing.length > 0 && (
        <p className={`small second ${classes.nothing}`}>
          Zero: {nothing.map((metric) => metric.name.replaceAll('_', ' ')).join(', ')}
        </p>
      )}
    </DetailPanel>
  );
}

function Metrics({ metrics }: { metrics: Metric[] }) {
  return (
    <table className={classes.metrics}>
      <caption className="hidden-visually">Metrics</caption>
      <tbody>
        {metrics.map((metric, index) => (
          <tr key={index}>
            <th scope="row">{metric.name.replaceAll('_', ' ')}</th>
            <td>{metric.value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function textOf(node: PlanNode): string {
  const metrics = node.metrics.map((metric) => `${metric.name}=${metric.value}`);
  return [node.detail ? `${node.name}: ${node.detail}` : node.name, ...metrics].join('\n');
}
