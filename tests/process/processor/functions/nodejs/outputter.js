// Answers what it is asked for by the request's body.
exports.initContext = async (context) => {
  await null;
  context.logger.infoWith('prepared', { level: 'any', message: 'a field' });
  context.logger.infoWith('a list', ['x', 1]);
  context.logger.infoWith('a time', new Date(0));
  context.userData = { events: 0 };
};

const answers = {
  return_string: () => 'a string',
  return_bytes: () => Buffer.from([0, 255, 7]),
  return_status_and_string: () => [201, 'a string after status'],
  return_status_and_dict: () => [201, { a: 'dict after status', b: 'foo' }],
  return_response: (context, event) => {
    const headers = Object.fromEntries(['a', 'b'].map((name) => [`h${event.headers[name.toUpperCase()]}`, `v${event.headers[name.toUpperCase()]}`]));
    return new context.Response('response body', headers, 'text/plain', 201);
  },
  return_odd_headers: (context) => new context.Response({ a: 1 }, { count: 3, list: [1, 2], gone: null, map: { a: 1 } }),
  return_map: (context) => new context.Response('x', new Map([['X-Of', 'a map']])),
  return_fetch_headers: (context) => new context.Response('x', new Headers({ 'X-Of': 'fetch' })),
  return_number: () => 3.5,
  return_null: () => null,
  return_list: () => [1, 2, 3],
  return_undefined: () => undefined,
  return_bigint: () => 10n,
  return_bigint_status: (context) => new context.Response('body', null, 'text/plain', 200n),
  return_circular_type: (context) => {
    const type = {};
    type.self = type;
    return new context.Response('body', null, type);
  },
  return_empty_response: (context) => new context.Response(),
  return_wrong_status: () => [99, 'low'],
  log: (context) => {
    context.logger.debug('Debug message');
    context.logger.info('Info message');
    context.logger.warn('Warn message');
    context.logger.error('Error message');
    return [201, 'returned logs'];
  },
  log_error: (context) => {
    context.logger.errorWith('It failed', { error: new Error('inner', { cause: new Error('deeper') }), sensor: 7 });
    return 'logged';
  },
  log_with: (context) => {
    context.logger.errorWith('Error message', { source: 'rabbit', weight: 7 });
    return [201, 'returned logs with'];
  },
  return_fields: (_context, event) => Object.keys(event.fields).sort().map((name) => `${name}=${event.fields[name]}`).join(','),
  return_path: (_context, event) => event.path,
  return_event: (_context, event) => {
    const { body, timestamp } = event;
    return { ...event, keys: Object.keys(event), isBuffer: Buffer.isBuffer(body), isDate: timestamp instanceof Date };
  },
  return_size: (_context, event) => String(event.body.length),
  return_count: (context) => String((context.userData.events += 1)),
  return_environment: () => ({ name: process.env.NUCLIO_FUNCTION_NAME, given: process.env.GIVEN, pid: process.pid }),
  return_error: () => {
    throw new Error('some error');
  },
  return_cause: () => {
    throw new TypeError('fetch failed', { cause: new Error('connect refused', { cause: { code: 'EHOST' } }) });
  },
  return_causes: () => {
    throw new AggregateError([new Error('refused by ::1'), 'refused by 127.0.0.1']);
  },
  return_prepared: (context) => {
    context.kept = (context.kept ?? 0) + 1;
    return String(context.kept);
  },
};

exports.testHandler = (context, event) => {
  if (event.method !== 'POST') {
    context.callback(event.method);
    return;
  }
  const text = event.body.toString();
  const answer = answers[text] ?? (text.startsWith('return_') ? answers[text.split(' ')[0]] : null);
  if (!answer) throw `Unknown return mode: ${text.slice(0, 40)}`;
  context.callback(answer(context, event));
};
