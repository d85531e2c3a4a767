// Tells events through a server SDK as published, then ends: node server.cjs SDK ENDPOINT SCENARIO USER
'use strict';
const [sdk, endpoint, scenario, user] = process.argv.slice(2);

const sdks = {
  '@segment/analytics-node': () => {
    const { Analytics } = require('@segment/analytics-node');
    const analytics = new Analytics({ writeKey: 'key', host: endpoint });
    return [analytics, () => analytics.closeAndFlush({ timeout: 60_000 })];
  },
  'analytics-node': () => {
    const Analytics = require('analytics-node');
    const analytics = new Analytics('key', { host: endpoint });
    return [analytics, () => analytics.flush()];
  },
  '@rudderstack/rudder-sdk-node': () => {
    const RudderAnalytics = require('@rudderstack/rudder-sdk-node');
    const analytics = new RudderAnalytics('key', { dataPlaneUrl: endpoint });
    return [analytics, () => analytics.flush()];
  },
  // Its calls have positions where the others have names, and each of them is a request that can be waited for.
  '@jitsu/js': () => {
    const { jitsuAnalytics } = require('@jitsu/js');
    const jitsu = jitsuAnalytics({ host: endpoint, writeKey: 'key:secret', s2s: true });
    jitsu.setAnonymousId(user);
    let last = Promise.resolve();
    const next = (call) => (last = last.then(call));
    const analytics = {
      identify: ({ userId, traits }) => next(() => jitsu.identify(userId, traits)),
      page: ({ name, properties, context }) => next(() => jitsu.page({ ...properties, name, context })),
      track: ({ event, properties }) => next(() => jitsu.track(event, properties)),
      group: ({ groupId, traits }) => next(() => jitsu.group(groupId, traits)),
      screen() {},
      alias() {},
    };
    return [analytics, () => last];
  },
};

const scenarios = {
  calls(analytics) {
    const context = { ip: '203.0.113.7', locale: 'de-DE', userAgent: 'Shop/1.0', campaign: { name: 'spring', source: 'mail' } };
    analytics.identify({ userId: user, traits: { plan: 'pro', n: 1 } });
    analytics.page({
      userId: user,
      name: 'Home',
      properties: { url: 'https://shop.example/home?q=1', path: '/home', title: 'Shop', referrer: 'https://search.example/', n: 2 },
      context,
    });
    analytics.track({
      userId: user,
      event: 'click',
      properties: { element: 'a#buy', element_text: 'Buy now', element_href: '/cart', n: 3 },
    });
    analytics.track({ userId: user, anonymousId: 'a1', event: 'Order Completed', properties: { total: 12.5, n: 4 } });
    analytics.screen({ userId: user, name: 'Cart', properties: { n: 5 } });
    analytics.group({ userId: user, groupId: 'g1', traits: { n: 6 } });
    analytics.alias({ userId: user, previousId: 'a1' });
  },
  batch,
  retry: batch,
};

function batch(analytics) {
  for (let n = 1; n <= 50; n++) {
    analytics.track({ userId: user, event: 'click', properties: { n } });
  }
}

const [analytics, end] = sdks[sdk]();
scenarios[scenario](analytics);
end();
