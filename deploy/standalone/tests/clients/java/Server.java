import com.segment.analytics.Analytics;
import com.segment.analytics.Callback;
import com.segment.analytics.messages.*;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** Tells events through a server SDK as published, then ends: java Server.java SDK ENDPOINT SCENARIO USER */
class Server {
  public static void main(String[] args) throws Exception {
    String endpoint = args[1], scenario = args[2], user = args[3];
    CountDownLatch open = new CountDownLatch(scenario.equals("calls") ? 7 : 50);
    Analytics analytics = Analytics.builder("key").endpoint(endpoint).callback(new Callback() {
      public void success(Message message) { open.countDown(); }
      public void failure(Message message, Throwable error) { throw new IllegalStateException(error); }
    }).build();
    if (scenario.equals("calls")) {
      calls(analytics, user);
    } else {
      for (int n = 1; n <= 50; n++) {
        analytics.enqueue(TrackMessage.builder("click").userId(user).properties(Map.of("n", n)));
      }
    }
    analytics.flush();
    open.await();
    analytics.shutdown();
  }

  static void calls(Analytics analytics, String user) {
    Map<String, Object> context = Map.of("ip", "203.0.113.7", "locale", "de-DE", "userAgent", "Shop/1.0",
        "campaign", Map.of("name", "spring", "source", "mail"));
    Map<String, Object> page = Map.of("url", "https://shop.example/home?q=1", "path", "/home", "title", "Shop",
        "referrer", "https://search.example/", "n", 2);
    Map<String, Object> click = Map.of("element", "a#buy", "element_text", "Buy now", "element_href", "/cart", "n", 3);
    analytics.enqueue(IdentifyMessage.builder().userId(user).traits(Map.of("plan", "pro", "n", 1)));
    analytics.enqueue(PageMessage.builder("Home").userId(user).properties(page).context(context));
    analytics.enqueue(TrackMessage.builder("click").userId(user).properties(click));
    analytics.enqueue(TrackMessage.builder("Order Completed").userId(user).anonymousId("a1")
        .properties(Map.of("total", 12.5, "n", 4)));
    analytics.enqueue(ScreenMessage.builder("Cart").userId(user).properties(Map.of("n", 5)));
    analytics.enqueue(GroupMessage.builder("g1").userId(user).traits(Map.of("n", 6)));
    analytics.enqueue(AliasMessage.builder("a1").userId(user));
  }
}
