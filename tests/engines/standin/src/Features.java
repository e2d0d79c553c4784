package clusterlog.standin;

import java.util.Set;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.features.FeatureSpecification;
import org.elasticsearch.features.NodeFeature;

/** Declares the node feature without which refused documents are never redirected into the failure store. */
public final class Features implements FeatureSpecification {
    @Override
    public Set<NodeFeature> getFeatures() {
        return Set.of(DataStream.DATA_STREAM_FAILURE_STORE_FEATURE);
    }
}
