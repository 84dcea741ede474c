import com.adobe.testing.s3mock.S3MockApplication;
import org.apache.catalina.connector.Connector;
import org.springframework.beans.factory.config.BeanPostProcessor;
import org.springframework.boot.web.embedded.tomcat.TomcatServletWebServerFactory;

/** S3Mock on 127.0.0.1 alone: its option for that holds for HTTPS, and plain HTTP listens on every interface. */
public final class LoopbackS3Mock implements BeanPostProcessor {
    @Override
    public Object postProcessBeforeInitialization(Object bean, String name) {
        if (bean instanceof TomcatServletWebServerFactory factory) {
            for (Connector connector : factory.getAdditionalTomcatConnectors()) {
                connector.setProperty("address", "127.0.0.1");
            }
        }
        return bean;
    }

    public static void main(String[] arguments) {
        System.setProperty("spring.main.sources", LoopbackS3Mock.class.getName());
        S3MockApplication.main(arguments);
    }
}
