import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

class After {
  public static void main(String[] args) throws Exception {
    String baseUrl = System.getenv().getOrDefault("CLEAR_URL", "http://127.0.0.1:8080");
    HttpClient client = HttpClient.newHttpClient();

    HttpRequest call = HttpRequest.newBuilder(URI.create(baseUrl + "/einv/v2/eInvoice/generate"))
        .timeout(Duration.ofSeconds(60))
        .header("content-type", "application/json")
        .header("gstin", "29AAFCD5862R000")
        .PUT(BodyPublishers.ofString("""
            [{"transaction": {"DocDtls": {"Typ": "INV", "No": "J/002", "Dt": "01/04/2026"}}}]"""))
        .build();
    var answer = client.send(call, BodyHandlers.ofString());
    System.out.println(answer.statusCode() + " " + answer.body());
  }
}
