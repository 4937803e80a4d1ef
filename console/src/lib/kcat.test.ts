import { describe, expect, it } from 'vitest';

import { kafkaAddress, kcatCommand } from './kcat';

describe('kcat', () => {
  it('has the address at which a client finds the server', () => {
    expect(kafkaAddress({ address: '127.0.0.1:7492', login: true }, 'example.org')).toBe('127.0.0.1:7492');
    expect(kafkaAddress({ address: '0.0.0.0:7492', login: true }, 'example.org')).toBe('example.org:7492');
    expect(kafkaAddress({ address: '[::]:7492', login: true }, 'example.org')).toBe('example.org:7492');
  });

  it('is quoted for the shell, and logs in where that is needed', () => {
    const open = kcatCommand({ address: '127.0.0.1:7492', login: false }, 'a b', 'ann', 'localhost');
    expect(open).toContain("-b 127.0.0.1:7492 -P -t 'a b'");
    expect(open).not.toContain('sasl');
    expect(kcatCommand({ address: '127.0.0.1:7492', login: true }, 't', "o'hara", 'localhost')).toContain("sasl.username='o'\\''hara' -X sasl.password=\"$PASSWORD\"");
  });
});
