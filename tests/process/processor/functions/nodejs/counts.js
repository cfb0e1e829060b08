// Says which messages it handles; one ends the process.
exports.handler = (context, event) => {
  const text = event.body.toString();
  console.log(`handled ${text}`);
  if (text === 'exit') process.exit(9);
  context.callback('done');
};
