exports.handler = (context, event) => {
  const text = event.body.toString();
  if (text.startsWith('fail')) throw new Error(text);
  if (text.startsWith('exit')) process.exit(4);
  context.callback('');
};
