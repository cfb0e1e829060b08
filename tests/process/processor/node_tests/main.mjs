export async function initContext(context) {
  context.userData = { calls: 0 };
}

export function handler(context, event) {
  context.userData.calls += 1;
  context.callback(`${context.userData.calls} ${event.body}`);
}
