import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.Executors;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * A service in plain Java: it logs, asks another service, and answers. Nothing in it knows of tracing; the agent does.
 *
 * <p>Usage: Node URL; it says its port on a line and ends with its standard input.
 */
public final class Node {
    private static final Logger LOG = Logger.getLogger("stock.Node");

    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/stock", exchange -> {
            int status = 200;
            try {
                LOG.log(Level.WARNING, "stock is low: {0} left", 3);
                HttpRequest asked = HttpRequest.newBuilder(URI.create(arguments[0] + "/price")).build();
                status = client.send(asked, HttpResponse.BodyHandlers.ofString()).statusCode();
                throw new IllegalStateException("no price for it");
            } catch (IllegalStateException error) {
                LOG.log(Level.SEVERE, "cannot say what it costs", error);
                status = 503;
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            } finally {
                exchange.sendResponseHeaders(status, -1);
                exchange.close();
            }
        });
        server.start();
        System.out.write(("port " + server.getAddress().getPort() + "\n").getBytes());
        System.out.flush();
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0); // so that the agent sends what it has
    }
}
